"""`fleet where`: the clusters that have a thing, and what differs between them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from fleet.cli import fleets, options, tables
from fleet.cli.colours import Colour, coloured
from fleet.cli.inventory_json import of_aspects, of_place, of_thing
from fleet.provenance.provenance import Provenance
from fleet.questions import names, where
from fleet.questions.aspects import Aspect, Aspects
from fleet.questions.things import Things
from fleet.questions.where import Place, Where

_HELP = """\
NAME is an app, a namespace, a policy, a controller, a tenant, an image with or without its tag, or
an object as Kind/name or Kind/namespace/name. A name that fits several things shows them all.

examples:
  fleet where podinfo
  fleet where Deployment/team-x/podinfo
"""


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    text = "show the clusters that have a thing, and the line that puts it there"
    parser = options.add_command(commands, "where", text, _HELP)
    parser.add_argument("name", metavar="NAME", help="the thing")
    options.add_root(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    with fleets.of_checkout(args.root) as fleet:
        fleets.show_problems(fleet)
        things = Things(fleet=fleet, provenance=Provenance(fleet=fleet))
        found = [where.where(things, thing) for thing in names.fitting(things, args.name)]
        if args.json:
            listed = [_as_dict(item) for item in found]
            content = {"name": args.name, "things": listed, "problems": fleets.problems(fleet)}
            print(json.dumps(content, indent=2))
            return 0
        for number, item in enumerate(found):
            print("\n" if number else "", end="")
            for line in _lines(item):
                print(line)
    return 0


def _lines(found: Where) -> Iterator[str]:
    total = len(found.places) + len(found.missing)
    title = (
        f"{found.thing.type.value} {found.thing.name}: in {len(found.places)} of {total} clusters"
    )
    yield coloured(title, Colour.BOLD)
    if same := _shown(found.same):
        yield coloured(f"  the same in all: {same}", None)
    rows = [_heading(found), *(_row(found, place) for place in found.places.values())]
    colours = [Colour.BOLD, *[None] * len(found.places)]
    yield from (f"  {line}" for line in tables.lines(rows, colours))
    if found.missing:
        yield f"  not in: {', '.join(found.missing)}"


def _shown(aspects: Aspects) -> str:
    return "; ".join(f"{aspect.value} {', '.join(values)}" for aspect, values in aspects.items())


def _heading(found: Where) -> list[str]:
    others = ["OTHER FIELDS"] if _has_others(found) else []
    return ["CLUSTER", *(aspect.value.upper() for aspect in found.differing), *others, "BY"]


def _row(found: Where, place: Place) -> list[str]:
    presence = place.presence
    others = [f"{len(place.others)} differ" if place.others else "-"] if _has_others(found) else []
    return [
        presence.cluster.name,
        *(_values(presence.aspects, aspect) for aspect in found.differing),
        *others,
        ", ".join(f"{link.place} {link.text}" for link in place.sources),
    ]


def _has_others(found: Where) -> bool:
    return any(place.others for place in found.places.values())


def _values(aspects: Aspects, aspect: Aspect) -> str:
    return ", ".join(aspects.get(aspect, ())) or "-"


def _as_dict(found: Where) -> dict[str, Any]:
    return {
        **of_thing(found.thing),
        "same": of_aspects(found.same),
        "differing": [aspect.value for aspect in found.differing],
        "clusters": [of_place(place) for place in found.places.values()],
        "missing": list(found.missing),
    }
