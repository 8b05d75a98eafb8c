"""Paths of files on this machine, as stack files name them."""

from __future__ import annotations

from pathlib import Path


def expanded(path: str) -> Path:
    """Return a path with the home folder for `~`. Raises ValueError for an unknown user's."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(
            f"{path}: has a user without a home folder; write the whole path"
        ) from None
