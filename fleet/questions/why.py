"""The chains that bring a thing into a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.errors import FleetError
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.model import Cluster, cluster_named
from fleet.provenance.link import Link
from fleet.questions import names
from fleet.questions.things import Presence, Thing, Things


@dataclass(frozen=True, kw_only=True)
class Why:
    """A thing of a cluster: each of its objects, with the chain that brings it.

    A thing without objects, such as an entry that builds nothing, has only its `sources`.
    """

    thing: Thing
    chains: Sequence[tuple[BuiltObject, tuple[Link, ...]]]
    sources: tuple[Link, ...]


def why(things: Things, cluster_name: str, name: str) -> list[Why]:
    """Return the chains of all that a name fits in a cluster. Raises FleetError."""
    cluster = cluster_named(things.fleet, cluster_name)
    fitting = names.fitting(things, name)
    here = [(thing, things.of_cluster(cluster).presence(thing)) for thing in fitting]
    found = [_of_presence(things, cluster, thing, presence) for thing, presence in here if presence]
    if not found:
        others = dict.fromkeys(other for thing in fitting for other in things.presences(thing))
        raise FleetError(f"{name}: is not in {cluster.name}; it is in: {', '.join(others)}")
    return found


def _of_presence(things: Things, cluster: Cluster, thing: Thing, presence: Presence) -> Why:
    chains = [(built, things.provenance.chain(cluster, built)) for built in presence.objects]
    return Why(thing=thing, chains=chains, sources=things.sources(thing, presence))
