"""The URLs of Git repositories that a stack file may name."""

from __future__ import annotations

import re


def git_url(url: str, secret: str) -> str:
    """Return an https:// or ssh:// URL. Raises ValueError, which names the key of the `secret`."""
    if not re.fullmatch(r"(https|ssh)://[^\s/]+/\S+", url):
        raise ValueError("must be an https:// or ssh:// URL")
    if re.match(r"https://[^/]*@", url) or re.match(r"ssh://[^/@]*:[^/@]*@", url):
        raise ValueError(
            f"must not carry a user or a password, Git would keep it for ever; use {secret}"
        )
    return url


def same_repository(url: str) -> str:
    """Return what URLs of one repository have in common, however they are spelled."""
    path = url.partition("://")[2].rpartition("@")[2].rstrip("/").removesuffix(".git")
    return path.lower()
