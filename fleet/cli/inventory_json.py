"""The JSON of the commands that ask what runs where; `docs/inventory.md` has its shape."""

from __future__ import annotations

from typing import Any

from fleet.cli.objects_json import of_fields, of_id
from fleet.inventory.built_object import BuiltObject
from fleet.kube.manifest import object_id
from fleet.provenance.link import Link
from fleet.questions.aspects import Aspects
from fleet.questions.things import Thing
from fleet.questions.where import Place


def of_thing(thing: Thing) -> dict[str, Any]:
    """Return a thing."""
    return {"type": thing.type.value, "name": thing.name}


def of_aspects(found: Aspects) -> dict[str, list[str]]:
    """Return aspects by name."""
    return {aspect.value: list(values) for aspect, values in found.items()}


def of_object(built: BuiltObject) -> dict[str, Any]:
    """Return the identity of an object, and the Flux Kustomization that applies it."""
    return {**of_id(object_id(built.manifest)), "appliedBy": built.applied_by}


def of_link(link: Link) -> dict[str, Any]:
    """Return a link of a chain."""
    return {
        "kind": link.kind.value,
        "file": link.file,
        "line": link.line,
        "text": link.text,
        "changes": of_fields(link.changes),
    }


def of_place(place: Place) -> dict[str, Any]:
    """Return a thing in one cluster."""
    presence = place.presence
    return {
        "cluster": presence.cluster.name,
        "environment": presence.cluster.environment,
        "aspects": of_aspects(presence.aspects),
        "objects": [of_object(built) for built in presence.objects],
        "sources": [of_link(link) for link in place.sources],
        "otherFields": list(place.others),
    }
