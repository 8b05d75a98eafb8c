"""Objects that move from one Flux Kustomization of a cluster to another.

Flux deletes an object that leaves a Kustomization, unless another one has applied it before or the
object says that it stays. Which Kustomization comes first is not certain, so a move is safe only if
the object stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.render import flux

_ANNOTATION, _VALUE = next(iter(flux.NEVER_PRUNED.items()))


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An object, or all objects of another repository, and the Flux Kustomization of it.

    It is pruned if Flux deletes it when it leaves the Kustomization, and replaceable if nothing is
    lost then because it is made again. `tenant` is the tenant that it belongs to, if any.
    """

    name: str
    kustomization: str
    is_pruned: bool
    is_replaceable: bool = False
    tenant: str = ""


@dataclass(frozen=True, kw_only=True, order=True)
class Move:
    """Objects that leave one Flux Kustomization and come to another one."""

    source: str
    target: str
    names: tuple[str, ...]
    tenant: str

    @property
    def problem(self) -> str:
        """The problem, with the safe way to make the change."""
        first = (
            f"set keep: true for tenant {self.tenant}"
            if self.tenant
            else f"annotate it with {_ANNOTATION}: {_VALUE}"
        )
        return (
            f"moves from Flux Kustomization {self.source} to {self.target}, so Flux may delete it "
            f"and make it again; first {first}, and move it when the clusters have that"
        )


def moves(former: Iterable[Delivery], new: Iterable[Delivery]) -> list[Move]:
    """Return the moves that could lose something, sorted."""
    before, after = _by_name(former), _by_name(new)
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(before.keys() & after.keys()):
        left, reached = before[name], after[name]
        stays = {item.kustomization for item in left} & {item.kustomization for item in reached}
        if not stays and left[0].is_pruned and not reached[0].is_replaceable:
            key = (left[0].kustomization, reached[0].kustomization, left[0].tenant)
            found.setdefault(key, []).append(name)
    return sorted(
        Move(source=source, target=target, names=tuple(names), tenant=tenant)
        for (source, target, tenant), names in found.items()
    )


def _by_name(deliveries: Iterable[Delivery]) -> dict[str, list[Delivery]]:
    found: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.name, []).append(delivery)
    return found
