"""`fleet fetch`: download Flux's install manifests, the sources of the JSON schemas and charts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fleet.check import json_schemas, schema_sources
from fleet.cli import options, progress
from fleet.config import load
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.inventory import chart_fetch, wanted_charts
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
    stacks = load.stacks(args.root)
    for flux in dict.fromkeys(stack.config.flux for stack in stacks):
        path = flux_release.fetch(flux, args.root)
        print(f"Flux {flux.version}: {path}")
        if flux.sha256 is None:
            print(f"pin it: fleet:flux.sha256: {flux_release.checksum(path)}")
    schemas = json_schemas.folder()
    if not schemas.is_dir():
        json_schemas.build(schemas, _download)
    print(f"JSON schemas: {schemas}")
    _fetch_charts(args.root, stacks)
    return 0


def _fetch_charts(root: Path, stacks: Sequence[Stack]) -> None:
    """Fetch all charts that can be fetched. Raises FleetError, one line for each other."""
    wanted = wanted_charts.of_stacks(root, stacks)
    fetched = chart_fetch.fetch(root, wanted, progress.show)
    for pin, locked in sorted(fetched.locked.items()):
        print(f"{pin}: {locked.resolved}")
    for line in (*fetched.private, *wanted.problems):
        print(line, file=sys.stderr)
    if fetched.failed:
        raise FleetError("\n".join(fetched.failed))


def _download(file: schema_sources.SourceFile) -> bytes:
    progress.show(f"fetching {file.url}")
    return schema_sources.download(file)
