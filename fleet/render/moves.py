"""Objects that move from one Flux Kustomization of a cluster to another.

Flux deletes an object that leaves a Kustomization, unless another one has applied it before or the
object says that it stays. Which Kustomization comes first is not certain, so a move is safe only if
the object stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.render import flux

_ANNOTATION, _VALUE = next(iter(flux.NEVER_PRUNED.items()))
# Helm deletes no object that has this annotation.
KEPT_BY_HELM: Mapping[str, str] = {"helm.sh/resource-policy": "keep"}
_HELM_ANNOTATION, _HELM_VALUE = next(iter(KEPT_BY_HELM.items()))
# The name of a HelmRelease that applies objects begins with this, and goes on as any other.
RELEASE = "HelmRelease "


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An object, or all objects of another repository, and what applies it.

    `kustomization` is the name of a Flux Kustomization, or of a HelmRelease after its kind.

    It is pruned if Flux deletes it when it leaves the Kustomization, and replaceable if nothing is
    lost then because it is made again. `tenant` is the tenant that it belongs to, if any.
    """

    name: str
    kustomization: str
    is_pruned: bool
    group: str = ""
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
        return (
            f"moves from {named(self.source)} to {self.target}, so {self._loss}; first "
            f"{self._first}, and move it when the clusters have that"
        )

    @property
    def _loss(self) -> str:
        who = "Helm" if is_release(self.source) else "Flux"
        if is_release(self.target):
            return f"{who} may delete it, and Helm makes it again only when it next upgrades"
        return f"{who} may delete it and make it again"

    @property
    def _first(self) -> str:
        if is_release(self.source):
            return f"annotate it with {_HELM_ANNOTATION}: {_HELM_VALUE}"
        if self.tenant:
            return f"set keep: true for tenant {self.tenant}"
        return f"annotate it with {_ANNOTATION}: {_VALUE}"


def is_release(applier: str) -> bool:
    """Tell whether what applies an object is a HelmRelease."""
    return applier.startswith(RELEASE)


def named(applier: str) -> str:
    """Return what applies an object with its kind."""
    return applier if is_release(applier) else f"Flux Kustomization {applier}"


def moves(former: Iterable[Delivery], new: Iterable[Delivery]) -> list[Move]:
    """Return the moves that could lose something, sorted."""
    before, after = _by_object(former), _by_object(new)
    found: dict[tuple[str, str, str], list[str]] = {}
    for key in sorted(before.keys() & after.keys()):
        left, reached = before[key], after[key]
        stays = {item.kustomization for item in left} & {item.kustomization for item in reached}
        if not stays and left[0].is_pruned and not reached[0].is_replaceable:
            move = (left[0].kustomization, reached[0].kustomization, left[0].tenant)
            found.setdefault(move, []).append(left[0].name)
    return sorted(
        Move(source=source, target=target, names=tuple(sorted(names)), tenant=tenant)
        for (source, target, tenant), names in found.items()
    )


def of_other_repository(
    kustomization: str, spec: Mapping[str, Any], labels: Mapping[str, Any]
) -> Delivery | None:
    """Return one delivery for all that a Flux Kustomization puts into its targetNamespace.

    It stands for a tenant's objects, which are in no file of this repository. `spec` and `labels`
    are the Kustomization's.
    """
    namespace = spec.get("targetNamespace")
    if namespace is None:
        return None
    return Delivery(
        name=f"what is in namespace {namespace}",
        kustomization=kustomization,
        is_pruned=spec.get("prune") is True and spec.get("deletionPolicy") != "Orphan",
        tenant=str(labels.get(flux.TENANT_LABEL, "")),
    )


def takes_away(former: Mapping[str, str], files: Mapping[str, str]) -> bool:
    """Tell whether a tree lacks a line that the `former` one has; nothing moves otherwise."""
    return any(
        not _lines(text) <= _lines(files.get(path, ""))
        for path, text in former.items()
        if path.endswith(".yaml")
    )


def _lines(text: str) -> set[str]:
    return {line for line in text.splitlines() if not line.lstrip().startswith("#")}


def _by_object(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], list[Delivery]]:
    found: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault((delivery.group, delivery.name), []).append(delivery)
    return found
