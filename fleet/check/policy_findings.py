"""The findings of the clusters' own policies."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.check.findings import Report
from fleet.check.rules import Rule, of_rule
from fleet.inventory.build import ClusterBuild
from fleet.inventory.model import Progress
from fleet.policies import judgement, refusals


def add(
    report: Report, clusters: Mapping[str, ClusterBuild], progress: Progress, *, with_audit: bool
) -> None:
    """Add to a report what the policies of clusters, given by name, would refuse.

    With `with_audit`, add also what they would only report.
    """
    judged = judgement.judge([*clusters.values()], progress, with_audit=with_audit)
    by_name = dict(zip(clusters, judged, strict=True))
    report.findings += of_rule(Rule.POLICY, refusals.findings(by_name))
    report.not_checked += refusals.not_judged(by_name.items())
    report.not_checked += refusals.unrendered(by_name.items())
    if with_audit:
        report.audit = sorted(of_rule(Rule.POLICY, refusals.reports(by_name)))
