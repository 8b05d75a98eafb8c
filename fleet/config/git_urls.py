"""The URLs of Git repositories that a stack file may name."""

from __future__ import annotations

from fleet.config.urls import plain_url


def git_url(url: str, secret: str) -> str:
    """Return an https:// or ssh:// URL. Raises ValueError; `secret` is the key of its password."""
    plain_url(url, ("https", "ssh"), f"remove the rest, and keep a token in {secret}")
    if not url.partition("://")[2].partition("/")[2].strip("/"):
        raise ValueError("has no path; add the owner and the name of the repository")
    return url


def repository_name(url: str) -> str:
    """Return the last part of a repository's URL, as `git clone` names the folder."""
    return url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def same_repository(url: str) -> str:
    """Return the same text for all URLs of one repository, however they are spelled."""
    path = url.partition("://")[2].rpartition("@")[2].rstrip("/").removesuffix(".git")
    return path.lower()
