"""`fleet why`: the chain of files and lines that brings a thing into a cluster."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from fleet.cli import fleets, options
from fleet.cli.colours import Colour, coloured
from fleet.cli.inventory_json import of_link, of_object, of_thing
from fleet.provenance.link import Link, LinkKind
from fleet.provenance.provenance import Provenance
from fleet.questions import why
from fleet.questions.things import Things
from fleet.questions.why import Why

_HELP = """\
Each line is a file with a line, and what it does: from the stack file to the file that has the
object, with the fields that each patch changes. NAME is that of `fleet where`.

Files below clusters/ are those that `fleet render` prints for the stack file as it is. Values of
Secrets are never shown.

examples:
  fleet why prod podinfo
  fleet why prod Deployment/team-x/podinfo
"""


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    text = "show the files and lines that bring a thing into a cluster"
    parser = options.add_command(commands, "why", text, _HELP)
    parser.add_argument("cluster", metavar="CLUSTER", help="the name of the cluster")
    parser.add_argument("name", metavar="NAME", help="the thing")
    options.add_root(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    with fleets.of_checkout(args.root) as fleet:
        fleets.show_problems(fleet)
        things = Things(fleet=fleet, provenance=Provenance(fleet=fleet))
        found = why.why(things, args.cluster, args.name)
        if args.json:
            content = {
                "cluster": args.cluster,
                "name": args.name,
                "things": [_as_dict(item) for item in found],
                "problems": fleets.problems(fleet),
            }
            print(json.dumps(content, indent=2))
            return 0
        for item in found:
            for line in _lines(item, args.cluster):
                print(line)
    return 0


def _lines(found: Why, cluster: str) -> Iterator[str]:
    title = f"{found.thing.type.value} {found.thing.name} in {cluster}"
    if not found.chains:
        yield coloured(f"{title}: has no objects", Colour.BOLD)
        yield from _links(found.sources)
        return
    count = len(found.chains)
    yield coloured(f"{title}: {count} object{'s' if count > 1 else ''}", Colour.BOLD)
    before: Sequence[Link] = ()
    for built, chain in found.chains:
        yield coloured(f"{built.display_name} (applied by {built.applied_by})", Colour.BOLD)
        equal = _equal_links(before, chain)
        if equal:
            yield f"  ... the first {equal} lines are those above"
        yield from _links(chain[equal:])
        before = chain


def _equal_links(before: Sequence[Link], chain: Sequence[Link]) -> int:
    pairs = enumerate(zip(before, chain, strict=False))
    return next((number for number, (one, other) in pairs if one != other), 0)


def _links(links: Sequence[Link]) -> Iterator[str]:
    width = max((len(link.place) for link in links), default=0)
    for link in links:
        colour = Colour.YELLOW if link.kind is LinkKind.CHANGE else None
        yield coloured(f"  {link.place.ljust(width)}  {link.text}", colour)
        yield from (coloured(f"      {change}", None) for change in link.changes)


def _as_dict(found: Why) -> dict[str, Any]:
    return {
        **of_thing(found.thing),
        "sources": [of_link(link) for link in found.sources],
        "objects": [
            {**of_object(built), "chain": [of_link(link) for link in chain]}
            for built, chain in found.chains
        ],
    }
