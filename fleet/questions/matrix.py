"""The things of all clusters side by side: clusters across, things down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fleet.errors import FleetError
from fleet.inventory.model import Fleet, near_names
from fleet.questions.aspects import Aspect
from fleet.questions.things import Presence, Thing, Things, ThingType
from fleet.questions.where import differing, variants

# Without a kind of objects, these things are shown.
_TYPES = (
    ThingType.APP,
    ThingType.CONTROLLER,
    ThingType.POLICY,
    ThingType.NAMESPACE,
    ThingType.TENANT,
)
# These are entries themselves. Others may be part of an entry that all clusters share.
_ENTRIES = (ThingType.APP, ThingType.CONTROLLER)
# The namespace and the folder of a tenant follow from the environment. Copies have their own rows.
_NOT_IN_CELLS = (Aspect.ENTRY, Aspect.NAMESPACE, Aspect.PATH, Aspect.COPIES)
# These are shown where they are the same everywhere, too.
_ALWAYS = (Aspect.ACTION, Aspect.REPLICAS, Aspect.VERSION)

ENVIRONMENT = "environment"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A thing in one cluster: the values to show, and the number of its variant."""

    values: tuple[str, ...]
    variant: int
    presence: Presence


@dataclass(frozen=True, kw_only=True)
class Row:
    """A thing by cluster; `total` is the number of all clusters."""

    thing: Thing
    cells: Mapping[str, Cell]
    total: int

    @property
    def is_everywhere(self) -> bool:
        """Tell whether all clusters have the thing."""
        return len(self.cells) == self.total

    @cached_property
    def common(self) -> str | None:
        """The one definition that brings the thing to all clusters, None if there is no such."""
        found = {cell.presence.definitions for cell in self.cells.values()}
        only = found.pop() if len(found) == 1 else ()
        return only[0] if self.is_everywhere and len(only) == 1 else None

    @cached_property
    def is_same(self) -> bool:
        """Tell whether the thing is the same in all clusters that have it."""
        return len({cell.variant for cell in self.cells.values()}) == 1

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The text of each cell, different for cells that differ."""
        plain = {name: ", ".join(cell.values) or "yes" for name, cell in self.cells.items()}
        variants_of: dict[str, set[int]] = {}
        for name, text in plain.items():
            variants_of.setdefault(text, set()).add(self.cells[name].variant)
        return {
            name: text
            if len(variants_of[text]) == 1
            else f"{text} (variant {self.cells[name].variant})"
            for name, text in plain.items()
        }


def rows(things: Things, kind: str | None) -> list[Row]:
    """Return the rows of a matrix. Raises FleetError for a kind that no cluster has."""
    if kind is None:
        return [_row(things, thing) for found in _TYPES for thing in things.all_of(found)]
    found = things.all_of(ThingType.OBJECT)
    kinds = sorted({thing.name.partition("/")[0] for thing in found})
    if kind.casefold() not in [known.casefold() for known in kinds]:
        near = near_names(kind, kinds) or ", ".join(kinds)
        raise FleetError(f"--kind {kind}: no cluster has an object of this kind; kinds: {near}")
    wanted = f"{kind.casefold()}/"
    return [_row(things, thing) for thing in found if thing.name.casefold().startswith(wanted)]


def _row(things: Things, thing: Thing) -> Row:
    presences = things.presences(thing)
    shown = {*differing(presences.values()), *_ALWAYS} - {*_NOT_IN_CELLS}
    numbers = variants(things, thing, presences)
    cells = {
        name: Cell(values=tuple(_values(presence, shown)), variant=numbers[name], presence=presence)
        for name, presence in presences.items()
    }
    return Row(thing=thing, cells=cells, total=len(things.fleet.clusters))


def _values(presence: Presence, shown: Iterable[Aspect]) -> list[str]:
    return [
        f"{aspect.value} {'+'.join(values)}"
        for aspect, values in presence.aspects.items()
        if aspect in shown
    ]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of one type; with `common`, those of one entry that all clusters share."""

    type: ThingType
    common: str | None
    rows: Sequence[Row]


def groups(rows: Iterable[Row]) -> list[Group]:
    """Return rows in groups, in the order of their types, common ones first."""
    found: dict[tuple[int, bool, str], list[Row]] = {}
    types = list(ThingType)
    for row in rows:
        common = None if row.thing.type in _ENTRIES else row.common
        key = (types.index(row.thing.type), common is None, common or "")
        found.setdefault(key, []).append(row)
    return [
        Group(type=types[number], common=common or None, rows=found[number, is_rest, common])
        for number, is_rest, common in sorted(found)
    ]


def columns(fleet: Fleet, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the clusters that have the same values of all keys, by these values.

    A key is `environment` or a fact. Raises FleetError for a fact that no cluster has.
    """
    facts = {name for cluster in fleet.clusters.values() for name in cluster.facts}
    for key in keys:
        if key not in (ENVIRONMENT, *facts):
            known = [ENVIRONMENT, *sorted(facts)]
            near = near_names(key, known) or ", ".join(known)
            raise FleetError(f"--by {key}: no cluster has this fact; name one of: {near}")
    found: dict[str, list[str]] = {}
    for cluster in fleet.clusters.values():
        values = {**cluster.facts, ENVIRONMENT: cluster.environment}
        title = " ".join(values.get(key, "-") for key in keys)
        found.setdefault(title, []).append(cluster.name)
    return found


def by_column(row: Row, clusters: Iterable[Sequence[str]], heads: Iterable[str]) -> dict[str, str]:
    """Return one text for each group of clusters, by the head of its column."""
    texts = (_grouped([row.texts.get(name, "-") for name in names]) for names in clusters)
    return dict(zip(heads, texts, strict=True))


def _grouped(texts: Sequence[str]) -> str:
    """Return equal texts once, each with the number of its clusters if they are not all equal."""
    counts = Counter(texts)
    if len(counts) == 1:
        return texts[0]
    return "; ".join(f"{count}: {text}" for text, count in counts.most_common())
