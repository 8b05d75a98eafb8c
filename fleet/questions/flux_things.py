"""The things of a cluster that fleet did not make: what its Flux Kustomizations and charts bring.

No stack file says there what an app is. So each Flux Kustomization is one, and each HelmRelease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.entrypoints import FLUX_OPERATOR
from fleet.inventory.model import Cluster
from fleet.kube.fields import mapping_at

FLUX = "flux"
_PART_OF = ("app.kubernetes.io/part-of", "flux")
_VERSION = "app.kubernetes.io/version"
Found = Mapping[str, tuple[BuiltObject, ...]]


def apps(cluster: Cluster) -> Found:
    """Return the objects of each Flux Kustomization and of each HelmRelease, by name.

    A Kustomization whose objects are not known stands for them.
    """
    found: dict[str, dict[int, BuiltObject]] = {}
    kustomizations = {
        f"{built.namespace}/{built.name}": built
        for built in cluster.objects
        if built.is_flux_kustomization and built.applied_by != f"{built.namespace}/{built.name}"
    }
    for built in cluster.objects:
        if applier := kustomizations.get(built.applied_by):
            found.setdefault(applier.name, {})[id(built)] = built
        if built.is_helm_release:
            found.setdefault(built.name, {})[id(built)] = built
    for built in kustomizations.values():
        found.setdefault(built.name, {id(built): built})
    return {name: tuple(objects.values()) for name, objects in found.items()}


def controllers(cluster: Cluster) -> Found:
    """Return Flux itself, if the repository has its manifests or an instance of its operator."""
    found = tuple(built for built in cluster.objects if _is_flux(built))
    return {FLUX: found} if found else {}


def tenants(_: Cluster) -> Found:
    """Return no tenants: only stack files have some."""
    return {}


def _is_flux(built: BuiltObject) -> bool:
    key, value = _PART_OF
    is_instance = (built.group, built.kind) == (FLUX_OPERATOR, "FluxInstance")
    return is_instance or mapping_at(built.metadata, "labels").get(key) == value


def versions(cluster: Cluster, objects: Iterable[BuiltObject]) -> Iterator[str]:
    """Yield the releases of Flux that a cluster has."""
    if cluster.stack is not None:
        yield cluster.stack.config.flux.version
        return
    labels = (mapping_at(built.metadata, "labels").get(_VERSION) for built in objects)
    instances = (mapping_at(built.spec, "distribution").get("version") for built in objects)
    yield from dict.fromkeys(str(found) for found in (*labels, *instances) if found)


def paths(objects: Sequence[BuiltObject]) -> tuple[str, ...]:
    """Return the folders that Flux applies objects from."""
    return tuple(dict.fromkeys(built.path for built in objects))
