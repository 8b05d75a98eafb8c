"""`fleet promote`: bring an app, a namespace or a policy further, by edits for a pull request."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.changes import impact
from fleet.changes.impact import Impact
from fleet.changes.revisions import Range
from fleet.cli import fleets, impact_json, impact_text, options
from fleet.config import load
from fleet.errors import FleetError
from fleet.inventory.finding import listed
from fleet.inventory.model import Fleet
from fleet.kube import yaml_writer
from fleet.kube.namespaces import BUILT_IN_NAMESPACES, FLUX_NAMESPACE
from fleet.printable import printable
from fleet.promote import plan, trees, writing
from fleet.promote.draft import Checkout, Plan, Request

_HELP = """\
NAME is an app, a namespace or a policy. If it could be several, write apps/NAME, namespaces/NAME or
policies/NAME. The command prints what the change does to each cluster, then writes it. It keeps
comments and order, and leaves the commit to you. A promotion that was interrupted is completed by
the same command.

examples:
  fleet promote foo-app --to dev --dry-run
  fleet promote foo --to common --baseline "every cluster runs the agents of foo"
"""
_MARKS = {"added": "+", "changed": "~", "removed": "-"}


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    text = "bring an app, a namespace or a policy to another cluster, or to all"
    parser = options.add_command(commands, "promote", text, _HELP)
    parser.add_argument("name", metavar="NAME", help="an app, a namespace or a policy")
    parser.add_argument(
        "--to",
        required=True,
        metavar="CLUSTER",
        help="a cluster; common for an app or a namespace of every cluster; shared for a policy",
    )
    parser.add_argument(
        "--from", dest="source", metavar="CLUSTER", help="list what this cluster lists"
    )
    parser.add_argument(
        "--overlay",
        action="store_true",
        help="make an overlay for each cluster that has the thing, and list that",
    )
    parser.add_argument(
        "--set", metavar="NAME", help="bring the namespace by the set namespaces/NAME"
    )
    parser.add_argument(
        "--baseline", metavar="REASON", help="why every cluster needs it; kept as a comment"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="do not keep to the order of fleet:promotionOrder, and write what policies refuse",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the impact and write nothing")
    options.add_root(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run)


@dataclass(frozen=True, kw_only=True)
class _Promotion:
    """A promotion that is decided: its plan, the files before it, and what it does to clusters."""

    before: dict[str, str]
    plan: Plan
    impact: Impact

    def change(self, path: str) -> str:
        """Return the kind of the change of a file."""
        if self.plan.files[path] is None:
            return "removed"
        return "changed" if path in self.before else "added"


def _run(args: argparse.Namespace) -> int:
    request = Request(
        name=args.name,
        to=args.to,
        source=args.source,
        overlay=args.overlay,
        set_name=args.set,
        baseline=args.baseline,
        force=args.force,
    )
    completed = [] if args.dry_run else writing.complete(args.root, request)
    if completed:
        print(printable(f"Completed the interrupted promotion of {request.name}."))
        return 0
    with _decided(args.root, request) as found:
        _print(found, args, f"{request.name} to {request.to}:")
        refused = [cluster.name for cluster in found.impact.clusters if cluster.refusals]
        if refused and not (args.force or args.dry_run):
            raise FleetError(
                f"{request.name}: policies of {listed(refused)} would refuse objects, see above; "
                "correct these first, or add --force"
            )
        if not args.dry_run:
            writing.write(args.root, request, found.before, found.plan.files)
    return 0


@contextmanager
def _decided(root: Path, request: Request) -> Iterator[_Promotion]:
    """Yield a promotion, which is compared in a copy of the checkout. Raises FleetError."""
    stacks = load.stacks(root)
    with (
        yaml_writer.texts_kept_for(root),
        tempfile.TemporaryDirectory(prefix="fleet-promote-") as folder,
        fleets.of_checkout(root) as before,
    ):
        copy = Path(folder) / "checkout"
        files = writing.read(root)
        try:
            writing.copy(root, copy)
            found = plan.plan(_checkout(before, files), request)
            writing.put(copy, found.files)
            found = trees.with_trees(found, zip(stacks, load.stacks(copy), strict=True), files)
            writing.put(copy, found.files)
            with fleets.of_checkout(copy) as after:
                _refuse_new_problems(before, after)
                changed = writing.changed_files(files, found.files)
                effect = impact.impact(before, after, changed)
                _refuse_broken_trees(before, effect)
                yield _Promotion(before=files, plan=found, impact=effect)
        except FleetError as error:
            # The copy has another name in each run.
            raise FleetError(str(error).replace(f"{copy}/", "").replace(f"{copy}: ", "")) from None


def _checkout(fleet: Fleet, files: dict[str, str]) -> Checkout:
    built_in = BUILT_IN_NAMESPACES | {FLUX_NAMESPACE}

    def namespaces_of(folder: str) -> set[str]:
        objects = fleet.repository.definitions.objects(folder) or ()
        return {found.namespace for found in objects} - built_in - {""}

    return Checkout(
        files=files,
        stacks={name: cluster.own_stack for name, cluster in fleet.clusters.items()},
        app_namespaces=namespaces_of,
        namespaces={
            name: {found.name for found in cluster.objects if found.kind == "Namespace"}
            for name, cluster in fleet.clusters.items()
        },
    )


def _refuse_new_problems(before: Fleet, after: Fleet) -> None:
    lines = [
        f"{name}: would not build: {finding}"
        for name, cluster in after.clusters.items()
        for finding in map(str, cluster.build.findings)
        if finding not in map(str, before.clusters[name].build.findings)
    ]
    if lines:
        raise FleetError("\n".join(lines))


def _refuse_broken_trees(before: Fleet, effect: Impact) -> None:
    """Raise FleetError for a tree that waits for an `up` and would not build until then."""
    lines = [
        f"{cluster.name}: {problem}; its tree is older than {cluster.file}, so run "
        f"`pulumi up -s {cluster.name}` first"
        for cluster in effect.clusters
        for problem in cluster.problems
        if not problem.startswith(tuple(map(str, before.clusters[cluster.name].build.findings)))
    ]
    if lines:
        raise FleetError("\n".join(lines))


def _print(found: _Promotion, args: argparse.Namespace, title: str) -> None:
    """Print the impact of a promotion, with what policies would refuse, and its files."""
    if args.json:
        revisions = Range(base="(working copy)", head=None)
        result = {
            "name": args.name,
            "to": args.to,
            "isDryRun": args.dry_run,
            "files": [
                {"path": path, "change": found.change(path)} for path in sorted(found.plan.files)
            ],
            "notes": list(found.plan.notes),
            "impact": impact_json.as_dict(found.impact, revisions, ()),
        }
        print(json.dumps(result, indent=2))
        return
    for line in impact_text.lines(found.impact, title):
        print(line)
    print("\nFiles that would change:" if args.dry_run else "\nFiles:")
    for path in sorted(found.plan.files):
        print(printable(f"  {_MARKS[found.change(path)]} {path}"))
    for note in found.plan.notes:
        print(printable(f"! {note}"))
