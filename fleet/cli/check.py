"""`fleet check`: build and validate everything that the clusters would apply."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fleet.check import flux_repository
from fleet.check.findings import Report
from fleet.check.run import Options, check_stacks
from fleet.cli import fleets, install_manifests, options, progress
from fleet.config import load, stack_files
from fleet.errors import FleetError
from fleet.inventory.finding import Finding
from fleet.printable import printable


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check", help="validate stack files, entrypoints and every object, offline"
    )
    options.add_root(parser)
    options.add_json(parser)
    parser.add_argument(
        "--tenants",
        type=Path,
        metavar="DIR",
        help="also build the tenants' repositories, from clones in DIR, and find objects that "
        "the clusters would refuse",
    )
    parser.add_argument(
        "--schemas",
        action="append",
        default=[],
        metavar="DIR|URL",
        help="validate with these JSON schemas, not with those of `fleet fetch` (repeatable)",
    )
    parser.add_argument(
        "--since",
        metavar="COMMIT",
        help="find objects that move between Flux Kustomizations since this commit, not the last "
        "one; in a pull request, name the branch that it goes to",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="also list what the policies of a cluster would report without refusing it",
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    try:
        report = _check(args)
    except FleetError as error:
        if not args.json:
            raise
        report = Report(findings=[Finding.of_line(line) for line in str(error).splitlines()])
    _print_report(report, as_json=args.json)
    return 1 if report.findings else 0


def _check(args: argparse.Namespace) -> Report:
    if args.tenants is not None and not args.tenants.is_dir():
        raise FleetError(
            f"--tenants {args.tenants}: is not a folder; name the folder with the tenants' clones"
        )
    if not stack_files.are_in(args.root):
        if args.tenants is not None:
            raise FleetError(
                f"--tenants {args.tenants}: {args.root} has no stack files; leave it out"
            )
        return flux_repository.check(args.root, args.schemas, progress.show, with_audit=args.audit)
    stacks = load.stacks(args.root)
    manifests = install_manifests.by_stack(stacks, args.root)
    return check_stacks(
        args.root,
        [(stack, manifests[stack.name]) for stack in stacks],
        progress.show,
        Options(
            clones=args.tenants,
            schema_locations=args.schemas,
            since=args.since,
            audit=args.audit,
        ),
    )


def _print_report(report: Report, *, as_json: bool) -> None:
    for line in (*fleets.shortened(report.not_checked), *report.behind, *report.unused):
        print(printable(line), file=sys.stderr)
    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
        return
    for finding in (*report.findings, *report.accepted):
        print(finding)
    for found in report.audit or ():
        print(f"audit: {found}")
    print(report.summary())
