"""The deliveries of objects by Flux Kustomizations, as the rule about moves compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import mapping_at
from fleet.render import flux, moves
from fleet.render.moves import Delivery

_RBAC = "rbac.authorization.k8s.io"
# Flux deletes no object that has one of these, as a label or as an annotation.
_KEPT_BY = (
    *flux.NEVER_PRUNED.items(),
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ("kustomize.toolkit.fluxcd.io/ssa", "Ignore"),
)


def deliveries(objects: Iterable[BuiltObject]) -> Iterator[Delivery]:
    """Yield the delivery of each object, and one for what a Kustomization brings from elsewhere."""
    for built in objects:
        yield Delivery(
            name=built.display_name,
            group=built.group,
            kustomization=built.applied_by,
            is_pruned=built.is_pruned and reason_to_keep(built) is None,
            is_replaceable=_is_replaceable(built),
            tenant=flux.tenant_of(built.applied_by),
        )
        if built.is_flux_kustomization:
            name = f"{built.namespace}/{built.name}"
            labels = mapping_at(built.metadata, "labels")
            if delivery := moves.of_other_repository(name, built.spec, labels):
                yield delivery


def reason_to_keep(built: BuiltObject) -> str | None:
    """Return why an object stays in the cluster when it leaves what applies it, None if it goes."""
    if built.is_released:
        if not built.is_pruned:
            return "Helm does not delete it"
        annotations = mapping_at(built.metadata, "annotations").items()
        is_kept = moves.KEPT_BY_HELM.items() <= annotations
        return "its annotation tells Helm not to delete it" if is_kept else None
    marks = [mapping_at(built.metadata, key) for key in ("labels", "annotations")]
    is_kept = any(mark.get(key) == value for mark in marks for key, value in _KEPT_BY)
    return "its annotation tells Flux not to delete it" if is_kept else None


def _is_replaceable(built: BuiltObject) -> bool:
    """Tell whether nothing is lost if an object is deleted and made again.

    Helm makes an object that is gone again only when it upgrades its release.
    """
    if built.is_released:
        return False
    is_unused = built.manifest.get("automountServiceAccountToken") is False
    return built.group == _RBAC or (built.kind == "ServiceAccount" and is_unused)
