"""The findings of `fleet check` as SARIF 2.1.0, at the lines to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fleet.check.findings import AcceptedFinding, Report
from fleet.check.rules import TEXTS
from fleet.cli import sarif
from fleet.config.stack_files import PROJECT_FILE
from fleet.inventory.finding import Finding, Place, listed

_TEXTS = {rule.value: text for rule, text in TEXTS.items()}
# Nothing is known about the lines of a file outside the checkout.
_FIRST_LINE = 1


def as_dict(report: Report) -> dict[str, Any]:
    """Return the log. A finding that several clusters have is one result."""
    return sarif.log(_TEXTS, [*_results(report.findings), *_results(report.accepted)])


def _results(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, str, Place], list[Finding]] = {}
    for finding in findings:
        place = finding.source or Place(file=finding.file or PROJECT_FILE, line=_FIRST_LINE)
        text = f"{finding.object}: {finding.problem}" if finding.object else finding.problem
        groups.setdefault((finding.rule, text, place), []).append(finding)
    for (rule, text, place), found in groups.items():
        files = listed(list(dict.fromkeys(finding.file for finding in found)))
        message = " ".join(f"{files}: {text}".split())
        reasons = {item.because for item in found if isinstance(item, AcceptedFinding)}
        accepted = [{"kind": "external", "justification": reason} for reason in sorted(reasons)]
        result = sarif.result(rule, "error", message, [place])
        yield result | ({"suppressions": accepted} if accepted else {})
