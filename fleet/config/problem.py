"""The one form of a problem."""

from __future__ import annotations


def problem(file: str, key: str, text: str) -> str:
    """Return the line of a problem; `text` names the conflict, then one action."""
    return f"{file}: {key}: {text}"
