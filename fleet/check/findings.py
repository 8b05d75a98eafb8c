"""What `fleet check` reports: objects that were built, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One thing that is wrong: where, in which object, and what to do."""

    file: str
    object: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.object + ': ' if self.object else ''}{self.problem}"


@dataclass(frozen=True, kw_only=True)
class Built:
    """One object of one cluster, and the Flux path that delivers it."""

    path: str
    content: Mapping[str, Any]

    @property
    def api(self) -> tuple[str, str]:
        """(apiVersion, kind), empty where the object lacks them."""
        return str(self.content.get("apiVersion", "")), str(self.content.get("kind", ""))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata, empty where it lacks it."""
        found = self.content.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """The object as people write it: kind, namespace and name."""
        parts = [str(self.metadata.get(key)) for key in ("namespace", "name") if
                 self.metadata.get(key)]  # fmt: skip
        return f"{self.api[1] or 'object without kind'} {'/'.join(parts)}"


@dataclass(kw_only=True)
class Report:
    """What was looked at and what was found."""

    clusters: int = 0
    # None: teams' repositories were not asked for.
    tenants: int | None = None
    not_checked: list[str] = field(default_factory=list)
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    without_schema: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """One line for people."""
        tenants = "" if self.tenants is None else f"{self.tenants} teams, "
        text = f"{self.clusters} clusters, {tenants}{self.objects} objects, "
        text += f"{len(self.findings)} findings"
        if self.without_schema:
            kinds = ", ".join(sorted(self.without_schema))
            text += f"; no schema for {sum(self.without_schema.values())} objects ({kinds})"
        return text

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        tenants = {"teams": self.tenants, "notChecked": self.not_checked}
        return {
            "clusters": self.clusters,
            **({} if self.tenants is None else tenants),
            "objects": self.objects,
            "findings": [vars(finding) for finding in self.findings],
            "withoutSchema": dict(sorted(self.without_schema.items())),
        }
