"""The names that a person may give to a thing, and what they fit."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from fleet.errors import FleetError
from fleet.questions.things import Thing, Things, ThingType

_NEAR = 5


def fitting(things: Things, name: str) -> list[Thing]:
    """Return all things that a name fits, in the order of their types.

    Raises FleetError, with near names, if there is none.
    """
    known = {kind: things.all_of(kind) for kind in ThingType}
    found = [thing for group in known.values() for thing in group if fits(thing, name)]
    if not found:
        raise FleetError(_unknown(name, [thing for group in known.values() for thing in group]))
    return found


def fits(thing: Thing, name: str) -> bool:
    """Tell whether a name stands for a thing.

    An image may be named without its tag, and an object without its namespace; a kind in any case.
    """
    if thing.type is ThingType.IMAGE:
        return name in (thing.name, _without_tag(thing.name))
    if thing.type is not ThingType.OBJECT:
        return thing.name == name
    kind, *rest = thing.name.split("/")
    wanted, *parts = name.split("/")
    return wanted.casefold() == kind.casefold() and parts in (rest, rest[-1:])


def _without_tag(image: str) -> str:
    """Return an image without its tag and its digest; a registry may have a port."""
    plain = image.partition("@")[0]
    name, colon, tag = plain.rpartition(":")
    return name if colon and "/" not in tag else plain


def _unknown(name: str, things: Sequence[Thing]) -> str:
    near = list(dict.fromkeys([*_objects_called(name, things), *_like(name, things)]))[:_NEAR]
    if near:
        return f"{name}: nothing here has this name; near names: {', '.join(near)}"
    return f"{name}: nothing here has this name; `fleet matrix` shows all names"


def _objects_called(name: str, things: Iterable[Thing]) -> list[str]:
    """Return the objects whose own name it is, without a kind; workloads are objects as well."""
    own = name.rpartition("/")[2]
    return [
        thing.name
        for thing in things
        if thing.type is ThingType.OBJECT and thing.name.rpartition("/")[2] == own
    ]


def _like(name: str, things: Iterable[Thing]) -> list[str]:
    """Return the names that are most like a name, in any case."""
    known: dict[str, dict[str, None]] = {}
    for thing in things:
        is_object = thing.type is ThingType.OBJECT
        for text in (thing.name, thing.name.rpartition("/")[2] if is_object else thing.name):
            known.setdefault(text.casefold(), {})[thing.name] = None
    near = difflib.get_close_matches(name.casefold(), known, n=_NEAR)
    return [found for text in near for found in known[text]]
