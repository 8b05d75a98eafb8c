"""The paths of the platform's repository that Flux Kustomizations apply."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.once import id_of
from fleet.render import flux

GROUP = "kustomize.toolkit.fluxcd.io"


class SourceName(NamedTuple):
    """The kind, namespace and name of a source of Flux."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the source as problems name it: `GitRepository apps/a`."""
        return f"{self.kind} {'/'.join(part for part in self[1:] if part)}"


def is_flux_kustomization(manifest: Manifest) -> bool:
    """Tell whether an object is a Kustomization of Flux, not one of kustomize."""
    found = id_of(manifest)
    return (found.group, found.kind) == (GROUP, "Kustomization")


def applied_path(manifest: Manifest) -> str | None:
    """Return the path that a Flux Kustomization applies; None for one of another repository.

    Any other object applies no path.
    """
    spec = mapping_at(manifest, "spec")
    path = spec.get("path") or "."
    if not is_flux_kustomization(manifest) or not isinstance(path, str):
        return None
    return resolved_path(path) if is_own_source(manifest, mapping_at(spec, "sourceRef")) else None


def is_own_source(manifest: Manifest, reference: Fields) -> bool:
    """Tell whether a reference of an object names the platform's own repository."""
    return source_name(manifest, reference) == ("GitRepository", FLUX_NAMESPACE, flux.SYNC_NAME)


def source_name(manifest: Manifest, reference: Fields) -> SourceName:
    """Return the source that an object refers to."""
    namespace = reference.get("namespace") or id_of(manifest).namespace
    return SourceName(str(reference.get("kind")), str(namespace), str(reference.get("name")))


def resolved_path(path: str) -> str:
    """Return the folder of the repository that Flux builds for `spec.path`.

    For Flux the root of the repository is the root of all paths, and `..` does not leave it.
    """
    return posixpath.normpath("/" + path.lstrip("/"))[1:] or "."
