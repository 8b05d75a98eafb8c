"""`fleet fetch`: download Flux's install manifests, the sources of the JSON schemas and charts."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleet.check import json_schemas
from fleet.cli import fleets, options, progress
from fleet.config import load, stack_files
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.helm import chart_fetch, wanted_charts
from fleet.helm.charts import Cluster
from fleet.helm.wanted_charts import WantedCharts
from fleet.inventory import build
from fleet.inventory.build import ClusterBuild
from fleet.kube import artifact, schema_sources
from fleet.render import flux_release


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "fetch",
        help="download what the other commands need, once: Flux's install manifests, the sources "
        "of the JSON schemas, and the charts of HelmReleases",
    )
    options.add_root(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    stacks = load.stacks(args.root) if stack_files.are_in(args.root) else []
    for flux in dict.fromkeys(stack.config.flux for stack in stacks):
        path = flux_release.fetch(flux, args.root)
        print(f"Flux {flux.version}: {path}")
        if flux.sha256 is None:
            print(f"pin it: fleet:flux.sha256: {flux_release.checksum(path)}")
    schemas = json_schemas.folder()
    if not schemas.is_dir():
        json_schemas.build(schemas, _download)
    failed = _fetch_charts(args.root, _wanted_charts(args.root, stacks))
    print(f"JSON schemas: {schemas}")
    if failed:
        raise FleetError("\n".join(failed))
    return 0


def _fetch_charts(root: Path, wanted: WantedCharts) -> list[str]:
    """Fetch all charts, and return a line for each public one that is still missing."""
    fetched = chart_fetch.fetch(root, wanted, progress.show)
    for pin, locked in sorted(fetched.locked.items()):
        print(f"{pin}: {locked.resolved}")
    for line in (*fetched.private, *wanted.problems):
        print(line, file=sys.stderr)
    return fetched.failed


def _wanted_charts(root: Path, stacks: Iterable[Stack]) -> WantedCharts:
    """Return the charts that the clusters of a checkout name, which must be built to know them."""
    if not _has_helm_releases(root):
        return WantedCharts(charts=frozenset())
    if not stacks:
        with fleets.of_checkout(root) as fleet:
            return _of_builds([(found.path, found.build) for found in fleet.clusters.values()])
    with tempfile.TemporaryDirectory(prefix="fleet-fetch-") as folder:
        repository = build.pack(root, Path(folder) / "repository")
        return _of_builds(
            [(stack.path, build.build_in(repository, stack, None)) for stack in stacks]
        )


def _of_builds(builds: Sequence[tuple[str, ClusterBuild]]) -> WantedCharts:
    clusters = [_cluster(found) for _, found in builds]
    return WantedCharts(
        charts=wanted_charts.of_clusters(clusters),
        problems=[
            f"{path}: does not build, so charts may be missing; run `fleet check`"
            for path, found in builds
            if not found.is_complete
        ],
    )


def _cluster(found: ClusterBuild) -> Cluster:
    manifests = [built.manifest for built in found.objects]
    return Cluster(manifests, found.sources.names) if found.sources else Cluster(manifests)


def _has_helm_releases(root: Path) -> bool:
    """Tell whether a file of a checkout can hold a HelmRelease."""
    paths = (root / name for name in artifact.file_names(root))
    yaml_files = (path for path in paths if path.suffix in (".yaml", ".yml") and path.is_file())
    return any(b"HelmRelease" in path.read_bytes() for path in yaml_files)


def _download(file: schema_sources.SourceFile) -> bytes:
    progress.show(f"fetching {file.url}")
    return schema_sources.download(file)
