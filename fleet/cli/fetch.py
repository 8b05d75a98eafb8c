"""`fleet fetch`: download Flux's install manifests and the sources of the JSON schemas."""

from __future__ import annotations

import argparse

from fleet.check import json_schemas, schema_sources
from fleet.cli import options, progress
from fleet.config import load
from fleet.render import flux_release


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "fetch",
        help="download what the other commands need, once: Flux's install manifests and the "
        "sources of the JSON schemas",
    )
    options.add_root(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    for flux in dict.fromkeys(stack.config.flux for stack in load.stacks(args.root)):
        path = flux_release.fetch(flux, args.root)
        print(f"Flux {flux.version}: {path}")
        if flux.sha256 is None:
            print(f"pin it: fleet:flux.sha256: {flux_release.checksum(path)}")
    schemas = json_schemas.folder()
    if not schemas.is_dir():
        json_schemas.build(schemas, _download)
    print(f"JSON schemas: {schemas}")
    return 0


def _download(file: schema_sources.SourceFile) -> bytes:
    progress.show(f"fetching {file.url}")
    return schema_sources.download(file)
