"""A problem in a file, or in an object that is built from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# More clusters than these are counted, and not named.
_NAMED = 10


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One problem: the file or folder, the object in it (may be empty), the problem with a remedy.

    Every rule of `fleet check` reports its problems as findings.
    """

    file: str
    object: str
    problem: str

    @classmethod
    def of_line(cls, line: str) -> Finding:
        """Return the finding of an error, one line, which starts with a file or a program."""
        file, colon, text = line.partition(": ")
        return cls(file=file if colon else "", object="", problem=text if colon else line)

    def __str__(self) -> str:
        text = f"{self.file}: {self.object + ': ' if self.object else ''}{self.problem}"
        # Names come from the files that are checked, and a finding is always one line.
        return "".join(
            c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _one_line(text)
        )


def listed(names: Sequence[str]) -> str:
    """Return names as a list; of many, only the first ones."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def shared(findings: Mapping[str, Iterable[Finding]]) -> Mapping[Finding, str]:
    """Return findings by cluster the other way round: each with the names of its clusters."""
    clusters: dict[Finding, list[str]] = {}
    for name, found in findings.items():
        for finding in dict.fromkeys(found):
            clusters.setdefault(finding, []).append(name)
    return {finding: listed(names) for finding, names in clusters.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split())
