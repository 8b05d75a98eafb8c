"""`fleet check`: build and validate everything that the clusters would apply."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fleet.check import flux_repository, places
from fleet.check.findings import Report
from fleet.check.rules import Rule, of_rule
from fleet.check.run import Options, check_stacks
from fleet.cli import check_sarif, fleets, install_manifests, options, progress
from fleet.config import load, stack_files
from fleet.errors import ConfigError, FleetError
from fleet.inventory.finding import Finding, with_place
from fleet.printable import printable


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check", help="validate stack files, entrypoints and every object, offline"
    )
    options.add_root(parser)
    formats = parser.add_mutually_exclusive_group()
    options.add_json(formats)
    formats.add_argument(
        "--sarif", action="store_true", help="print SARIF 2.1.0, at the lines to look at"
    )
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
        if not (args.json or args.sarif):
            raise
        report = _failed(args.root, error)
    _print_report(report, args)
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


def _failed(root: Path, error: FleetError) -> Report:
    """Return the report of a check that cannot be made."""
    rule = Rule.STACK_FILE if isinstance(error, ConfigError) else Rule.FAILED
    found = of_rule(rule, (Finding.of_line(line) for line in str(error).splitlines()))
    return Report(findings=places.of_stack_files(root, list(found)))


def _print_report(report: Report, args: argparse.Namespace) -> None:
    not_checked = fleets.shortened(report.not_checked)
    for line in (*not_checked, *report.behind, *report.unused, *report.notes):
        print(printable(line), file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    elif args.sarif:
        print(json.dumps(check_sarif.as_dict(report), indent=2))
    else:
        for finding in (*report.findings, *report.accepted):
            print(with_place(finding))
        for found in report.audit or ():
            print(f"audit: {found}")
        print(report.summary())
