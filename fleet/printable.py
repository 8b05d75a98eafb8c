"""Texts that come from files which anybody may write, for a terminal and for Markdown."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text on one line, without characters that a terminal obeys."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
