"""Semantic versions: their order, and the range that Helm finds them in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(
    r"v?(?P<numbers>\d+(\.\d+){0,2})(-(?P<before>[0-9A-Za-z.-]+))?(\+(?P<build>[0-9A-Za-z.-]+))?"
)


@total_ordering
@dataclass(frozen=True, kw_only=True)
class Version:
    """A version as Flux reads it. Missing numbers are 0; build metadata does not count."""

    numbers: tuple[int, ...]
    before: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the version in full, without `v` and build metadata."""
        before = f"-{'.'.join(self.before)}" if self.before else ""
        return ".".join(map(str, self.numbers)) + before

    def __lt__(self, other: Version) -> bool:
        """Tell whether this version precedes another; a number precedes a text."""
        return self._rank() < other._rank()

    def _rank(self) -> tuple[object, ...]:
        parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.before]
        return self.numbers, not self.before, parts


def parse(text: str) -> Version | None:
    """Return the version that a text is, None if it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    numbers = [int(number) for number in match["numbers"].split(".")]
    before = tuple(match["before"].split(".")) if match["before"] else ()
    return Version(numbers=(*numbers, 0, 0)[:3], before=before)


def complete(texts: Iterable[str]) -> list[str]:
    """Return the texts that are versions with three numbers, which are all that Flux looks at."""
    return [text for text in texts if text.count(".") >= 2 and parse(text) is not None]


def highest(texts: Iterable[str]) -> str | None:
    """Return the highest version of some texts, the first of equal ones, None without any."""
    found = [(version, text) for text in texts if (version := parse(text)) is not None]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def with_metadata(text: str, metadata: str) -> str | None:
    """Return a version with other build metadata, None for a text that is no version."""
    version = parse(text)
    return None if version is None else f"{version}+{metadata}"
