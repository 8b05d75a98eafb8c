"""The clusters that have a thing, and what differs between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fleet.inventory.field_diff import differences
from fleet.kube.manifest import object_id
from fleet.provenance.link import Link
from fleet.questions import aspects
from fleet.questions.aspects import Aspect
from fleet.questions.diff import without_paths
from fleet.questions.flux_things import FLUX
from fleet.questions.things import Presence, Thing, Things, ThingType

# These have objects that are different in every cluster by their names or paths, so only their
# aspects are compared.
_ONLY_ASPECTS = (ThingType.TENANT, ThingType.IMAGE)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A thing in one cluster, and the lines that put it there.

    `others` are the fields that differ from most other clusters, without those that an aspect
    shows, and the objects that only some clusters have.
    """

    presence: Presence
    sources: tuple[Link, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Where:
    """A thing: the clusters that have it, by name, those that do not, and what differs."""

    thing: Thing
    places: Mapping[str, Place]
    missing: tuple[str, ...]
    differing: tuple[Aspect, ...]

    @property
    def same(self) -> dict[Aspect, tuple[str, ...]]:
        """The aspects that are the same in all clusters that have the thing."""
        first = next(iter(self.places.values())).presence.aspects
        return {aspect: values for aspect, values in first.items() if aspect not in self.differing}


def where(things: Things, thing: Thing) -> Where:
    """Return the clusters that have a thing."""
    presences = things.presences(thing)
    others = _others(things, thing, presences)
    return Where(
        thing=thing,
        places={
            name: Place(
                presence=presence, sources=things.sources(thing, presence), others=others[name]
            )
            for name, presence in presences.items()
        },
        missing=tuple(name for name in things.fleet.clusters if name not in presences),
        differing=tuple(differing(presences.values())),
    )


def differing(presences: Iterable[Presence]) -> list[Aspect]:
    """Return the aspects that are not the same in all clusters that have a thing."""
    found = [presence.aspects for presence in presences]
    return [aspect for aspect in Aspect if len({item.get(aspect) for item in found}) > 1]


def variants(things: Things, thing: Thing, presences: Mapping[str, Presence]) -> dict[str, int]:
    """Return for each cluster the number of its variant; clusters with equal objects share one.

    The variant that most clusters have is the first one.
    """
    keys: Mapping[str, tuple[object, ...]] = {
        name: tuple(sorted(things.text_of(presence.cluster, built) for built in presence.objects))
        if is_compared(thing)
        else tuple(presence.aspects.items())
        for name, presence in presences.items()
    }
    common = [key for key, _ in Counter(keys.values()).most_common()]
    return {name: common.index(key) + 1 for name, key in keys.items()}


def is_compared(thing: Thing) -> bool:
    """Tell whether the objects of a thing are compared, and not only its aspects."""
    return thing.type not in _ONLY_ASPECTS and thing != Thing(type=ThingType.CONTROLLER, name=FLUX)


def _others(
    things: Things, thing: Thing, presences: Mapping[str, Presence]
) -> dict[str, tuple[str, ...]]:
    """Return by cluster the fields that differ from the variant that most clusters have."""
    numbers = variants(things, thing, presences)
    if not is_compared(thing):
        return dict.fromkeys(numbers, ())
    firsts = {number: name for name, number in reversed(numbers.items())}
    reference = presences[firsts[1]]
    of_variant = {
        number: tuple(_differences(reference, presences[name])) for number, name in firsts.items()
    }
    return {
        name: tuple(_differences(reference, presences[name]))
        if any(built.before_variables for built in presences[name].objects)
        else of_variant[number]
        for name, number in numbers.items()
    }


def _differences(reference: Presence, presence: Presence) -> Iterator[str]:
    before, after = (
        {object_id(built.manifest): built.manifest for built in item.objects}
        for item in (reference, presence)
    )
    paths = reference.cluster.path, presence.cluster.path
    for wanted in dict.fromkeys([*before, *after]):
        if wanted not in before or wanted not in after:
            yield f"{wanted} is {'missing' if wanted in before else 'only here'}"
            continue
        for found in without_paths(differences(before[wanted], after[wanted]), paths):
            if not aspects.is_shown(found.path):
                yield f"{wanted}: {found}"
