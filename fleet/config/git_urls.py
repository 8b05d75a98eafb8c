"""The URLs of Git repositories that a stack file may name."""

from __future__ import annotations

import re


def git_url(url: str, secret: str) -> str:
    """Return an https:// or ssh:// URL. Raises ValueError; `secret` is the key of its password."""
    if not re.fullmatch(r"(https|ssh)://[^\s/]+/\S+", url):
        raise ValueError("must be an https:// or ssh:// URL")
    if re.match(r"https://[^/]*@", url) or re.match(r"ssh://[^/@]*:[^/@]*@", url):
        raise ValueError(
            f"must not contain a user or a password, Git would keep it forever; use {secret}"
        )
    return url


def repository_name(url: str) -> str:
    """Return the last part of a repository's URL, as `git clone` names the folder."""
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def same_repository(url: str) -> str:
    """Return the same text for all URLs of one repository, however they are spelled."""
    path = url.partition("://")[2].rpartition("@")[2].rstrip("/").removesuffix(".git")
    return path.lower()
