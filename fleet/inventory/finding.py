"""A problem in a file, or in an object that is built from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.printable import printable

# More clusters than these are counted, and not named.
_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Place:
    """A line of a file of the repository."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One problem: the file or folder, the object in it (may be empty), the problem with a remedy.

    Every rule of `fleet check` reports its problems as findings. `rule` is the rule's name, empty
    outside of it. `source` is the line to look at, None if nobody has looked for it; it has the
    text `near` if a line of the object has.
    """

    file: str
    object: str
    problem: str
    rule: str = ""
    source: Place | None = field(default=None, compare=False)
    near: str = field(default="", compare=False, repr=False)

    @classmethod
    def of_line(cls, line: str) -> Finding:
        """Return the finding of an error, one line, which starts with a file or a program."""
        file, colon, text = line.partition(": ")
        return cls(file=file if colon else "", object="", problem=text if colon else line)

    def __str__(self) -> str:
        text = f"{self.file}: {self.object + ': ' if self.object else ''}{self.problem}"
        # Names come from the files that are checked, and a finding is always one line.
        return printable(_one_line(text))


def with_place(finding: Finding) -> str:
    """Return the line of a finding, with the place to look at behind it."""
    return f"{finding} [{printable(str(finding.source))}]" if finding.source else str(finding)


def listed(names: Sequence[str]) -> str:
    """Return names as a list; of many, only the first ones."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
