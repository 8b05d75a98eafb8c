"""`fleet diff`: the difference of two clusters, or of one cluster at two revisions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from fleet.changes import revisions
from fleet.cli import fleets, options
from fleet.cli.colours import Colour, coloured
from fleet.cli.objects_json import of_fields, of_id
from fleet.errors import FleetError
from fleet.inventory import model
from fleet.questions import diff
from fleet.questions.diff import Difference, ObjectDifference

_HELP = """\
Shows what would be different if cluster A became cluster B, or what the stack file and the
definitions say about one cluster at two revisions. Revisions are those of `fleet impact`:
test@main..HEAD, test@main...HEAD from where HEAD left main, test@main against the working copy,
and test@ for the last commit against the working copy.

The path of a cluster's own tree counts as equal to that of the other one. Values of Secrets are
never shown.

examples:
  fleet diff dev prod
  fleet diff test@main..HEAD
"""


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    text = "compare two clusters, or one cluster at two revisions, object by object"
    parser = options.add_command(commands, "diff", text, _HELP)
    parser.add_argument("a", metavar="A", help="a cluster, or a cluster with revisions")
    parser.add_argument("b", metavar="B", nargs="?", help="the other cluster")
    options.add_root(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    name, at, text = args.a.partition("@")
    if args.b is None and not at:
        raise FleetError(f"{args.a}: is one cluster; name another one, or write {name}@main..HEAD")
    if args.b is not None and (at or "@" in args.b):
        raise FleetError(
            f"{args.a} {args.b}: a revision is for one cluster; write {name}@main..HEAD"
        )
    if args.b is None:
        found = _of_revisions(args, name, text)
        names = (f"{name} before", f"{name} after")
    else:
        with fleets.of_checkout(args.root) as fleet:
            clusters = [model.cluster_named(fleet, text) for text in (args.a, args.b)]
            found = diff.difference(clusters[0], clusters[1])
        names = (args.a, args.b)
    if args.json:
        print(json.dumps(_as_dict(found, names), indent=2))
    else:
        for line in _lines(found, names):
            print(line)
    return 0


def _of_revisions(args: argparse.Namespace, name: str, text: str) -> Difference:
    revision = revisions.range_of(args.root, text)
    with fleets.of_range(args.root, revision) as (before, after):
        return diff.difference(model.cluster_named(before, name), model.cluster_named(after, name))


def _lines(found: Difference, names: tuple[str, str]) -> Iterator[str]:
    yield f"{names[0]} -> {names[1]}: {len(found.objects)} objects differ, {found.equal} are equal"
    yield from (f"! {problem}" for problem in found.problems)
    for item in found.objects:
        yield _heading(item, names)
        if item.before and item.after and item.before != item.after:
            yield f"    applied by {item.before} -> {item.after}"
        yield from (f"    {field}" for field in item.fields)


def _heading(item: ObjectDifference, names: tuple[str, str]) -> str:
    if not item.after:
        return coloured(f"- {item.object} (only in {names[0]}, {item.before})", Colour.RED)
    if not item.before:
        return coloured(f"+ {item.object} (only in {names[1]}, {item.after})", Colour.GREEN)
    return coloured(f"~ {item.object} ({item.after})", Colour.YELLOW)


def _as_dict(found: Difference, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "a": names[0],
        "b": names[1],
        "objects": [
            {
                "object": of_id(item.object),
                "kustomizationA": item.before or None,
                "kustomizationB": item.after or None,
                "fields": of_fields(item.fields),
            }
            for item in found.objects
        ],
        "equal": found.equal,
        "problems": list(found.problems),
    }
