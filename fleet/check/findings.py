"""The report of all findings that `fleet check` prints."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from fleet.inventory.finding import Finding


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
    # One line for each tenant without a clone, and for what is in no file of the repository.
    not_checked: list[str] = field(default_factory=list)
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    accepted: list[AcceptedFinding] = field(default_factory=list)
    # One line for each rendered tree that its definitions have left behind.
    behind: list[str] = field(default_factory=list)
    # One line for each acceptance that no finding needs, and each key that has done its work.
    unused: list[str] = field(default_factory=list)
    # One line for each thing that is no mistake, but that somebody may want to know.
    notes: list[str] = field(default_factory=list)
    # What policies would only report, None if nobody asked for it.
    audit: list[Finding] | None = None
    # The number of objects by apiVersion and kind.
    without_schema: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """Return the last line that `fleet check` prints."""
        tenants = "" if self.tenants is None else f"{self.tenants} tenants, "
        text = f"{self.clusters} clusters, {tenants}{self.objects} objects, "
        text += f"{len(self.findings)} findings"
        if self.accepted:
            text += f", {len(self.accepted)} accepted"
        if self.audit is not None:
            text += f", {len(self.audit)} reports of policies"
        if self.without_schema:
            kinds = ", ".join(sorted(self.without_schema))
            text += f"; no schema for {sum(self.without_schema.values())} objects ({kinds})"
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return the content of `fleet check --json`."""
        has_tenants = self.tenants is not None
        return {
            "clusters": self.clusters,
            **({"teams": self.tenants} if has_tenants else {}),
            **({"notChecked": self.not_checked} if has_tenants or self.not_checked else {}),
            "objects": self.objects,
            "findings": [_as_dict(finding) for finding in self.findings],
            "behind": self.behind,
            "notes": self.notes,
            "accepted": [_as_dict(finding) for finding in self.accepted],
            **({} if self.audit is None else {"audit": [*map(_as_dict, self.audit)]}),
            "withoutSchema": dict(sorted(self.without_schema.items())),
        }


def _as_dict(finding: Finding) -> dict[str, Any]:
    content = dataclasses.asdict(finding)
    # The text has led to the source.
    del content["near"]
    return content
