"""Reads what Flux keeps in a cluster: the inventory of each of its Kustomizations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleet import process
from fleet.render import flux
from fleet.render.moves import Delivery, Move, moves, of_other_repository

_SECONDS = 60
_KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inventories:
    """The Flux Kustomizations of one cluster. Methods raise CommandError."""

    kubeconfig: Path
    context: str

    def moves(self, new: Iterable[Delivery]) -> list[Move]:
        """Return the moves to `new` in which Flux could delete an object of the cluster."""
        answer = self._get(_KUSTOMIZATIONS, "--all-namespaces")
        held, new = list(entries(answer.get("items", ()))), list(new)
        found = moves((entry.delivery for entry in held), new)
        leaving = {(move.source, name) for move in found for name in move.names}
        return moves(
            (
                replace(entry.delivery, is_pruned=not self._stays(entry))
                if (entry.delivery.kustomization, entry.delivery.name) in leaving
                else entry.delivery
                for entry in held
            ),
            new,
        )

    def _stays(self, entry: Entry) -> bool:
        """Tell whether Flux leaves an object where it is, because the object says so."""
        if not entry.resource:
            return False
        namespace = ("--namespace", entry.namespace) if entry.namespace else ()
        found = self._get(entry.resource, entry.name, *namespace)
        annotations = found.get("metadata", {}).get("annotations", {})
        return not found or flux.NEVER_PRUNED.items() <= annotations.items()

    def _get(self, *args: str) -> Object:
        """Return what kubectl finds, empty if there is no such object."""
        command: Sequence[str] = ("kubectl", "--kubeconfig", str(self.kubeconfig))
        options = ("--context", self.context, "get", "--ignore-not-found", "--output=json")
        text = process.run([*command, *options, *args], timeout=_SECONDS)
        found: Object = json.loads(text or "{}")
        return found


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of an inventory, and the object by which kubectl finds it."""

    delivery: Delivery
    resource: str = ""
    name: str = ""
    namespace: str = ""


def entries(kustomizations: Iterable[Object]) -> Iterator[Entry]:
    """Yield the entries of all inventories, and one for each other repository's objects."""
    for item in kustomizations:
        metadata, spec = item["metadata"], item["spec"]
        owner = f"{metadata['namespace']}/{metadata['name']}"
        if delivery := of_other_repository(owner, spec, metadata.get("labels", {})):
            yield Entry(delivery=delivery)
        for entry in item.get("status", {}).get("inventory", {}).get("entries", ()):
            yield _entry(owner, entry["id"], entry["v"], is_pruned=spec.get("prune") is True)


def _entry(owner: str, identity: str, version: str, *, is_pruned: bool) -> Entry:
    # The parts are joined by "_", and a name has "__" for each of its colons.
    namespace, _, rest = identity.partition("_")
    rest, _, kind = rest.rpartition("_")
    name, _, group = rest.rpartition("_")
    name = name.replace("__", ":")
    shown = f"{namespace}/{name}" if namespace else name
    return Entry(
        delivery=Delivery(
            name=f"{kind} {shown}",
            group=group,
            kustomization=owner,
            is_pruned=is_pruned,
            tenant=flux.tenant_of(owner),
        ),
        resource=f"{kind}.{version}.{group}",
        name=name,
        namespace=namespace,
    )
