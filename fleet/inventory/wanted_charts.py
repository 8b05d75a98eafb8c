"""The charts that the clusters of a checkout need."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.check import build
from fleet.config.models import Stack
from fleet.inventory import charts
from fleet.inventory.charts import Chart, Cluster, NotRenderedError
from fleet.kube import artifact


@dataclass(frozen=True, kw_only=True)
class WantedCharts:
    """The charts of some clusters, and a line for each cluster that does not build."""

    charts: frozenset[Chart]
    problems: Sequence[str] = ()


def of_stacks(root: Path, stacks: Iterable[Stack]) -> WantedCharts:
    """Return the charts that the HelmReleases of some clusters name.

    A HelmRelease whose chart Flux would not find is left out; rendering names the reason.
    """
    if not _has_helm_releases(root):
        return WantedCharts(charts=frozenset())
    found: set[Chart] = set()
    problems = []
    with tempfile.TemporaryDirectory(prefix="fleet-fetch-") as folder:
        repository = build.pack(root, Path(folder) / "repository")
        for stack in stacks:
            cluster = build.build_in(repository, stack, None)
            found |= _charts(Cluster([built.manifest for built in cluster.objects]))
            if not cluster.is_complete:
                problems.append(f"{stack.path}: does not build, so charts may be missing")
    return WantedCharts(charts=frozenset(found), problems=problems)


def _charts(cluster: Cluster) -> set[Chart]:
    found = set()
    for manifest in cluster.objects:
        if charts.is_helm_release(manifest):
            try:
                found.add(charts.chart_of(manifest, cluster))
            except NotRenderedError:
                continue
    return found


def _has_helm_releases(root: Path) -> bool:
    """Tell whether a file of a checkout can hold a HelmRelease, so that clusters must be built."""
    paths = (root / name for name in artifact.file_names(root))
    yaml_files = (path for path in paths if path.suffix in (".yaml", ".yml") and path.is_file())
    return any(b"HelmRelease" in path.read_bytes() for path in yaml_files)
