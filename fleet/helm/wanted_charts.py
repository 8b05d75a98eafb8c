"""The charts that clusters need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.helm import charts
from fleet.helm.charts import Chart, Cluster, NotRenderedError


@dataclass(frozen=True, kw_only=True)
class WantedCharts:
    """The charts of some clusters, and a line for each cluster that does not build."""

    charts: frozenset[Chart]
    problems: Sequence[str] = ()


def of_clusters(clusters: Iterable[Cluster]) -> frozenset[Chart]:
    """Return the charts that the HelmReleases of some clusters name.

    A HelmRelease whose chart Flux would not find is left out; rendering names the reason.
    """
    return frozenset(chart for cluster in clusters for chart in _charts(cluster))


def _charts(cluster: Cluster) -> set[Chart]:
    found = set()
    for manifest in cluster.objects:
        if charts.is_helm_release(manifest):
            try:
                found.add(charts.chart_of(manifest, cluster))
            except NotRenderedError:
                continue
    return found
