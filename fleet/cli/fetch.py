"""`fleet fetch`: download Flux's install manifests."""

from __future__ import annotations

import argparse

from fleet.cli import options
from fleet.config import load
from fleet.render import flux_release


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("fetch", help="download Flux's install manifests into the cache")
    options.add_root(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    for flux in dict.fromkeys(stack.config.flux for stack in load.stacks(args.root)):
        path = flux_release.fetch(flux, args.root)
        print(f"Flux {flux.version}: {path}")
        if flux.sha256 is None:
            print(f"pin it: fleet:flux.sha256: {flux_release.checksum(path)}")
    return 0
