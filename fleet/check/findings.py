"""A finding, and the report of all findings that `fleet check` prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


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


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, kw_only=True, order=True)
class AcceptedFinding(Finding):
    """A finding that the platform team accepts, with the reason."""

    because: str

    def __str__(self) -> str:
        return f"accepted: {super().__str__()} (because: {self.because})"


@dataclass(kw_only=True)
class Report:
    """The findings, and the number of clusters, tenants and objects that were checked."""

    clusters: int = 0
    # None says that the tenants' repositories were not to be checked.
    tenants: int | None = None
    # One line for each tenant without a clone.
    not_checked: list[str] = field(default_factory=list)
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    accepted: list[AcceptedFinding] = field(default_factory=list)
    # One line for each rendered tree that its definitions have left behind.
    behind: list[str] = field(default_factory=list)
    # One line for each acceptance that no finding needs, and each key that has done its work.
    unused: list[str] = field(default_factory=list)
    # The number of objects by apiVersion and kind.
    without_schema: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """Return the last line that `fleet check` prints."""
        tenants = "" if self.tenants is None else f"{self.tenants} tenants, "
        text = f"{self.clusters} clusters, {tenants}{self.objects} objects, "
        text += f"{len(self.findings)} findings"
        if self.accepted:
            text += f", {len(self.accepted)} accepted"
        if self.without_schema:
            kinds = ", ".join(sorted(self.without_schema))
            text += f"; no schema for {sum(self.without_schema.values())} objects ({kinds})"
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return the content of `fleet check --json`."""
        tenants = {"teams": self.tenants, "notChecked": self.not_checked}
        return {
            "clusters": self.clusters,
            **({} if self.tenants is None else tenants),
            "objects": self.objects,
            "findings": [vars(finding) for finding in self.findings],
            "behind": self.behind,
            "accepted": [vars(finding) for finding in self.accepted],
            "withoutSchema": dict(sorted(self.without_schema.items())),
        }
