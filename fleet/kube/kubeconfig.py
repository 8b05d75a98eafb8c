"""Kubeconfig files: what one context says about its cluster and its credential."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.kube import yaml_reader

# Fields of a cluster that kubeconfigs and credential plugins write in the same way.
_CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
_AUTHORITY = "certificate-authority"


@dataclass(frozen=True, kw_only=True)
class Context:
    """One context of a kubeconfig file, with the cluster and the user that it names."""

    file: Path
    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]

    def cluster_fields(self) -> dict[str, Any]:
        """Return the cluster without any path, its certificate authority as base64.

        Raises OSError or ValueError.
        """
        fields = {key: self.cluster[key] for key in _CLUSTER_FIELDS if self.cluster.get(key)}
        authority = self.certificate(self.cluster, _AUTHORITY)
        if authority:
            fields[f"{_AUTHORITY}-data"] = base64.b64encode(authority).decode()
        return fields

    def certificate(self, section: Mapping[str, Any], key: str) -> bytes | None:
        """Return a certificate or key from `<key>-data` or the file `<key>`, None without both.

        Raises OSError or ValueError.
        """
        if data := section.get(f"{key}-data"):
            try:
                return base64.b64decode(str(data), validate=True)
            except binascii.Error:
                raise ValueError(f"{key}-data is not base64") from None
        return self.path(section[key]).read_bytes() if section.get(key) else None

    def path(self, name: object) -> Path:
        """Return a path of the kubeconfig; a relative one begins at the folder of the file."""
        return self.file.parent / str(name)


def read(file: Path) -> dict[str, Any]:
    """Read a kubeconfig file; raises OSError, and ValueError for text that is not YAML."""
    documents = yaml_reader.documents(file.read_bytes())
    content = documents[0] if documents else None
    return content if isinstance(content, dict) else {}


def context_names(content: Mapping[str, Any]) -> list[str]:
    """Return the names of all contexts."""
    return [str(item.get("name")) for item in _items(content, "contexts")]


def context(file: Path, content: Mapping[str, Any], name: str) -> Context:
    """Return one context of a file; raises ValueError when it lacks its cluster or its user."""
    named = find(content, "context", name) or {}
    sides: dict[str, dict[str, Any]] = {}
    for kind in ("cluster", "user"):
        found = find(content, kind, named.get(kind))
        if found is None:
            raise ValueError(f"has no {kind} {named.get(kind)!r} below {kind}s")
        sides[kind] = found
    return Context(file=file, name=name, **sides)


def find(content: Mapping[str, Any], kind: str, name: object) -> dict[str, Any] | None:
    """Return the context, the cluster or the user of a name, None if there is none."""
    for item in _items(content, f"{kind}s"):
        if item.get("name") == name and isinstance(item.get(kind), dict):
            found: dict[str, Any] = item[kind]
            return found
    return None


def _items(content: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    items = content.get(section)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
