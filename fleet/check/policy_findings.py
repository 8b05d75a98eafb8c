"""The findings of the clusters' own policies."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.check.findings import Report
from fleet.check.rules import Rule, of_rule
from fleet.inventory.build import ClusterBuild
from fleet.inventory.model import Progress
from fleet.policies import judgement, refusals
from fleet.policies.judgement import Judgement


def judged(
    clusters: Mapping[str, ClusterBuild],
    progress: Progress,
    *,
    with_audit: bool,
    processors: int = judgement.PROCESSORS,
) -> dict[str, Judgement]:
    """Return what the policies of clusters, given by name, would refuse.

    With `with_audit`, find also what they would only report.
    """
    found = judgement.judge(
        [*clusters.values()], progress, with_audit=with_audit, processors=processors
    )
    return dict(zip(clusters, found, strict=True))


def add(report: Report, judgements: Mapping[str, Judgement], *, with_audit: bool) -> None:
    """Add to a report the judgements of clusters, given by name."""
    report.findings += of_rule(Rule.POLICY, refusals.findings(judgements))
    report.not_checked += refusals.not_judged(judgements.items())
    report.not_checked += refusals.unrendered(judgements.items())
    if with_audit:
        report.audit = sorted(of_rule(Rule.POLICY, refusals.reports(judgements)))
