"""Colours of the output, which only a terminal gets."""

from __future__ import annotations

import os
import sys
from enum import Enum

from fleet.printable import printable


class Colour(str, Enum):
    """The colours, as a terminal knows them."""

    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    BOLD = "1"


def coloured(text: str, colour: Colour | None) -> str:
    """Return a text with its colour, if standard output is a terminal.

    Names come from files that anybody may write, so they cannot bring colours of their own.
    """
    text = printable(text)
    if colour is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{colour.value}m{text}\x1b[0m"
