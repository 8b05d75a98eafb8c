"""The findings that the platform team accepts, each with a reason: `accepted-findings.yaml`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fleet.check.findings import AcceptedFinding, Report
from fleet.config.base import NonEmpty, Strict
from fleet.errors import FleetError
from fleet.kube import yaml_reader

FILE = "accepted-findings.yaml"
_PLACE = re.compile(r" \[\S+:\d+\]$")


class Acceptance(Strict):
    """A finding as `fleet check` prints it, in which `*` stands for any text, and the reason."""

    finding: NonEmpty
    because: NonEmpty

    def matches(self, line: str) -> bool:
        """Tell whether a printed finding is the accepted one."""
        # A line that is copied from the output ends with a place, which may change at any time.
        text = _PLACE.sub("", self.finding)
        pattern = re.sub(r"([?[])", r"[\1]", text)
        return fnmatch.fnmatchcase(line, pattern)


def read(root: Path) -> list[Acceptance]:
    """Return what a checkout accepts, nothing if it has no such file. Raises FleetError."""
    file = root / FILE
    if file.is_symlink():
        raise FleetError(f"{FILE}: is a symbolic link; make it a file")
    if not file.exists():
        return []
    try:
        documents = yaml_reader.documents(file.read_bytes()) or [None]
        if len(documents) > 1:
            raise ValueError("has several documents")
        return TypeAdapter(list[Acceptance]).validate_python(documents[0] or [])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "content"
        problem = f"{key}: {first['msg']}"
    except (OSError, ValueError) as error:
        problem = str(error)
    raise FleetError(f"{FILE}: {problem}; write a list of {{finding: ..., because: ...}}")


def apply(acceptances: Sequence[Acceptance], report: Report) -> None:
    """Move each accepted finding of a report to those that are accepted."""
    left = []
    for finding in report.findings:
        reason = next((a.because for a in acceptances if a.matches(str(finding))), None)
        if reason is None:
            left.append(finding)
        else:
            report.accepted.append(AcceptedFinding(**vars(finding), because=reason))
    report.unused = [*_unused(acceptances, [str(finding) for finding in report.findings])]
    report.findings = left


def _unused(acceptances: Sequence[Acceptance], lines: Sequence[str]) -> Iterator[str]:
    for acceptance in acceptances:
        if not any(acceptance.matches(line) for line in lines):
            yield f"{FILE}: matches no finding of this run: {acceptance.finding}"
