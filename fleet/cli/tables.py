"""Tables for a person: columns of texts, each as wide as its longest text.

A row with one text is a title above other rows, and may be wider than its column.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from fleet.cli.colours import Colour, coloured

_GAP = "  "
# A file or a pipe has no width, so a table for it may be this wide.
_NO_TERMINAL = (160, 24)


def terminal_width() -> int:
    """Return the width of the terminal."""
    return shutil.get_terminal_size(_NO_TERMINAL).columns


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column."""
    whole = [row for row in rows if len(row) > 1]
    return [max(map(len, column)) for column in zip(*whole, strict=True)]


def total_width(rows: Sequence[Sequence[str]]) -> int:
    """Return the width of a table."""
    found = widths(rows)
    return sum(found) + len(_GAP) * (len(found) - 1)


def lines(rows: Sequence[Sequence[str]], colours: Sequence[Colour | None]) -> Iterator[str]:
    """Yield the lines of a table, each in its colour."""
    found = widths(rows)
    for row, colour in zip(rows, colours, strict=True):
        cells = (text.ljust(width) for text, width in zip(row, found, strict=False))
        yield coloured(_GAP.join(cells).rstrip(), colour)
