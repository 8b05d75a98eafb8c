"""Quantities of Kubernetes, such as `500m` and `1Ki`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

_UNITS: Mapping[str, Fraction] = {
    **{unit: Fraction(1, 1000 ** (3 - index)) for index, unit in enumerate("num")},
    "": Fraction(1),
    **{unit: Fraction(1000 ** (1 + index)) for index, unit in enumerate("kMGTPE")},
    **{f"{unit}i": Fraction(1024 ** (1 + index)) for index, unit in enumerate("KMGTPE")},
}


def parse(text: str) -> Fraction:
    """Return a quantity's number: 500m is a half, 1Ki is 1024, 1e3 is 1000.

    Raises ValueError for any other text.
    """
    match = re.fullmatch(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2}|[a-zA-Z]*)", text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    if match[2] in _UNITS:
        return Fraction(match[1]) * _UNITS[match[2]]
    try:
        return Fraction(text)
    except ValueError:
        raise ValueError(f"{text!r} is no quantity") from None
