"""The paths of the platform's repository that Flux Kustomizations apply."""

from __future__ import annotations

import posixpath

from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux

_GROUP = "kustomize.toolkit.fluxcd.io"


def applied_path(manifest: Manifest) -> str | None:
    """Return the path that a Flux Kustomization applies; None for one of another repository.

    Any other object applies no path.
    """
    found = object_id(manifest)
    spec = mapping_at(manifest, "spec")
    path = spec.get("path") or "."
    if (found.group, found.kind) != (_GROUP, "Kustomization") or not isinstance(path, str):
        return None
    return resolved_path(path) if is_own_source(manifest, mapping_at(spec, "sourceRef")) else None


def is_own_source(manifest: Manifest, reference: Fields) -> bool:
    """Tell whether a reference of an object names the platform's own repository."""
    return source_name(manifest, reference) == ("GitRepository", FLUX_NAMESPACE, flux.SYNC_NAME)


def source_name(manifest: Manifest, reference: Fields) -> tuple[str, str, str]:
    """Return the kind, namespace and name of the source that an object refers to."""
    namespace = reference.get("namespace") or object_id(manifest).namespace
    return str(reference.get("kind")), str(namespace), str(reference.get("name"))


def resolved_path(path: str) -> str:
    """Return the folder of the repository that Flux builds for `spec.path`.

    For Flux the root of the repository is the root of all paths, and `..` does not leave it.
    """
    return posixpath.normpath("/" + path.lstrip("/"))[1:] or "."
