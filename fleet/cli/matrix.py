"""`fleet matrix`: clusters across, things down."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fleet.cli import fleets, options, tables
from fleet.cli.colours import Colour
from fleet.cli.inventory_json import of_aspects, of_thing
from fleet.inventory.model import Fleet
from fleet.provenance.provenance import Provenance
from fleet.questions import matrix
from fleet.questions.matrix import Group, Row
from fleet.questions.things import Things, ThingType

_HELP = """\
A cell has what differs between clusters, such as replicas, images and the action of a policy. Two
cells of a row are equal only if the objects are. What one entry brings to every cluster is below
that entry. When the table is wider than the terminal, its columns are environments. With --by, they
are the values of facts.

examples:
  fleet matrix --kind Deployment
  fleet matrix --by environment --by region
"""
_PLURALS = {
    ThingType.APP: "apps",
    ThingType.CONTROLLER: "controllers",
    ThingType.POLICY: "policies",
    ThingType.NAMESPACE: "namespaces",
    ThingType.TENANT: "tenants",
    ThingType.OBJECT: "objects",
}


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    text = "show what runs where: clusters across, things down"
    parser = options.add_command(commands, "matrix", text, _HELP)
    parser.add_argument("--kind", metavar="KIND", help="show all objects of this kind instead")
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="FACT",
        help="a column for all clusters with the same value of this fact, or of `environment` "
        "(repeatable)",
    )
    options.add_root(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    with fleets.of_checkout(args.root) as fleet:
        fleets.show_problems(fleet)
        things = Things(fleet=fleet, provenance=Provenance(fleet=fleet))
        rows = matrix.rows(things, args.kind)
        if args.json:
            print(json.dumps(_as_dict(fleet, rows), indent=2))
            return 0
        for line in _lines(fleet, rows, args.by):
            print(line)
    return 0


def _lines(fleet: Fleet, rows: Sequence[Row], keys: Sequence[str]) -> Iterator[str]:
    if keys:
        table = _grouped(fleet, rows, keys)
    else:
        table = _table(rows, list(fleet.clusters), lambda row: row.texts)
        if tables.total_width(table) > tables.terminal_width():
            grouped = _grouped(fleet, rows, [matrix.ENVIRONMENT])
            table = min(table, grouped, key=tables.total_width)
    yield from tables.lines(table, [_colour(line) for line in table])


def _grouped(fleet: Fleet, rows: Sequence[Row], keys: Sequence[str]) -> list[list[str]]:
    columns = matrix.columns(fleet, keys)
    heads = [f"{title} ({len(clusters)})" for title, clusters in columns.items()]
    return _table(rows, heads, lambda row: matrix.by_column(row, columns.values(), heads))


def _table(
    rows: Sequence[Row], heads: Sequence[str], texts: Callable[[Row], Mapping[str, str]]
) -> list[list[str]]:
    table = [["", *heads, ""]]
    for group in matrix.groups(rows):
        table.append([_title(group)])
        for row in group.rows:
            cells = texts(row)
            table.append(
                [f"  {row.thing.name}", *(cells.get(head, "-") for head in heads), _extent(row)]
            )
    return table


def _title(group: Group) -> str:
    title = _PLURALS[group.type].upper()
    if group.common is None:
        return title
    return f"{title} of the common set {group.common.partition('/')[2] or group.common}"


def _extent(row: Row) -> str:
    same = ", the same" if row.is_same and len(row.cells) > 1 else ""
    if row.is_everywhere:
        return f"every cluster{same}"
    return f"{len(row.cells)} of {row.total} clusters{same}"


def _colour(line: Sequence[str]) -> Colour | None:
    if not line[0].startswith(" "):
        return Colour.BOLD
    return None if line[-1].endswith("every cluster, the same") else Colour.YELLOW


def _as_dict(fleet: Fleet, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "clusters": [
            {"name": cluster.name, "environment": cluster.environment}
            for cluster in fleet.clusters.values()
        ],
        "rows": [_row(row) for row in rows],
        "problems": fleets.problems(fleet),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        **of_thing(row.thing),
        "isEverywhere": row.is_everywhere,
        "isSame": row.is_same,
        "common": row.common,
        "cells": {
            name: {
                "text": row.texts[name],
                "variant": cell.variant,
                "aspects": of_aspects(cell.presence.aspects),
            }
            for name, cell in row.cells.items()
        },
    }
