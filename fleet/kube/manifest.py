"""The type of a Kubernetes object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# An object as in its YAML: apiVersion, kind, metadata, and the other fields of its kind.
Manifest = Mapping[str, Any]


class ObjectId(NamedTuple):
    """The identity of an object in a cluster; the namespace is empty if it names none."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return the object as problems name it: `ConfigMap apps/a`."""
        parts = [part for part in (self.namespace, self.name) if part]
        return f"{self.kind or 'object without kind'} {'/'.join(parts)}"


def object_id(manifest: Manifest) -> ObjectId:
    """Return the identity of an object; a part that it does not have is empty."""
    metadata = manifest.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    return ObjectId(
        group=str(manifest.get("apiVersion", "")).rpartition("/")[0],
        kind=str(manifest.get("kind", "")),
        namespace=str(fields.get("namespace") or ""),
        name=str(fields.get("name") or ""),
    )
