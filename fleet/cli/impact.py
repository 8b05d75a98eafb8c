"""`fleet impact`: everything that a change does to the clusters, before it is merged."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from fleet.changes import impact, revisions
from fleet.changes.impact import Impact
from fleet.changes.revisions import Range
from fleet.cli import (
    fleets,
    impact_json,
    impact_markdown,
    impact_sarif,
    impact_text,
    options,
    progress,
)
from fleet.inventory.finding import listed

# argparse ends with 2, and any error with 1.
_EXCEEDED = 3
_HELP = """\
Two states of the repository are compared: BASE..HEAD, or BASE...HEAD from where HEAD left BASE.
BASE alone is compared with the working copy. Without an argument, the last commit is compared with
the working copy.

Each line says when the change is live. Flux applies the committed trees with the definitions of the
branch. So a definition is live at merge. What a stack file says is live at the next `pulumi up`,
and so are the definitions of a rendered cluster.

exit codes:
  0  no limit is exceeded
  1  it could not be computed; the reason is on standard error
  2  wrong usage
  3  a limit of --fail-on or --max-deletions is exceeded, or is not certain to be kept

examples:
  fleet impact                                    # the working copy
  fleet impact origin/main...HEAD --markdown --fail-on prod --max-deletions 0
"""


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = options.add_command(
        commands, "impact", "show what a change does to each cluster, and when", _HELP
    )
    parser.add_argument(
        "range",
        nargs="?",
        default="",
        metavar="BASE..HEAD",
        help="the change (default: the last commit against the working copy)",
    )
    options.add_root(parser)
    formats = parser.add_mutually_exclusive_group()
    options.add_json(formats)
    formats.add_argument(
        "--markdown", action="store_true", help="print a comment for a pull request"
    )
    formats.add_argument(
        "--sarif", action="store_true", help="print SARIF 2.1.0, at the lines that cause the change"
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="NAME",
        help="exit with 3 if the change reaches this environment or cluster (repeatable)",
    )
    parser.add_argument(
        "--max-deletions",
        type=_count,
        metavar="N",
        help="exit with 3 if more than N objects are deleted in all clusters together, also those "
        "that are made again",
    )
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write 0 or more")
    return int(text)


def _run(args: argparse.Namespace) -> int:
    revision = revisions.range_of(args.root, args.range)
    with fleets.of_range(args.root, revision) as (before, after):
        progress.show("comparing")
        changed = revisions.changed_files(args.root, revision)
        found = impact.impact(before, after, changed, progress.show)
    exceeded = [*_failures(found, args.fail_on), *_too_many(found, args.max_deletions)]
    _print(found, args, revision, exceeded)
    return _EXCEEDED if exceeded else 0


def _failures(found: Impact, names: Sequence[str]) -> Iterator[str]:
    for cluster in impact.named(found, names):
        yield f"--fail-on: the change reaches {cluster.name} (environment {cluster.environment})"


def _too_many(found: Impact, limit: int | None) -> Iterator[str]:
    if limit is None:
        return
    if found.deletions > limit:
        yield f"--max-deletions {limit}: {found.deletions} objects are deleted"
    unknown = [cluster.name for cluster in found.clusters if cluster.problems]
    if unknown:
        yield f"--max-deletions {limit}: is not certain for {listed(unknown)}; see the problems"


def _print(
    found: Impact, args: argparse.Namespace, revision: Range, exceeded: Sequence[str]
) -> None:
    if args.json:
        print(json.dumps(impact_json.as_dict(found, revision, exceeded), indent=2))
    elif args.sarif:
        print(json.dumps(impact_sarif.as_dict(found), indent=2))
    elif args.markdown:
        print(impact_markdown.text(found, str(revision), exceeded), end="")
    else:
        for line in impact_text.lines(found, str(revision)):
            print(line)
    for line in exceeded:
        print(line, file=sys.stderr)
