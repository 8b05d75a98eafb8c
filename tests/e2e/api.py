"""Questions to the API of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from sandbox.kubernetes.cluster import Cluster

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind that can be listed, in the preferred version of its group."""

    name: str
    group: str
    version: str
    plural: str
    singular: str
    namespaced: bool

    def path(self, namespace: str = "") -> str:
        """Return the path of its list, in one namespace or in all."""
        root = f"/apis/{self.group}" if self.group else "/api"
        within = f"namespaces/{namespace}/" if namespace and self.namespaced else ""
        return f"{root}/{self.version}/{within}{self.plural}"


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API of a cluster, asked as the administrator.

    Tests ask again and again. A kubectl for each question would take most of the machine's time.
    """

    cluster: Cluster
    _kinds: dict[str, Kind] = field(default_factory=dict)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one object, or None if it does not exist."""
        found = self.objects(kind, namespace, fields=f"metadata.name={name}")
        return found[0] if found else None

    def objects(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        """Return the objects of a kind, in one namespace or in all, that selectors match."""
        selectors = urlencode({"labelSelector": labels, "fieldSelector": fields})
        return self.cluster.objects(f"{self._kind(kind).path(namespace)}?{selectors}")

    def listable(self) -> list[Kind]:
        """Return all kinds that can be listed."""
        return [
            kind
            for root in ("/api", "/apis")
            for group in self.cluster.get(root, _DISCOVERY)["items"]
            for kind in _kinds(group["metadata"].get("name", ""), group["versions"])
        ]

    def _kind(self, name: str) -> Kind:
        """Return a kind by its plural, with or without its group, or by its singular."""
        if name not in self._kinds:
            for kind in reversed(self.listable()):
                names = (kind.plural, kind.singular, f"{kind.plural}.{kind.group}")
                self._kinds.update(dict.fromkeys(names, kind))
        return self._kinds[name]


def _kinds(group: str, versions: Sequence[Mapping[str, Any]]) -> list[Kind]:
    return [
        Kind(
            name=resource["responseKind"]["kind"],
            group=group,
            version=versions[0]["version"],
            plural=resource["resource"],
            singular=resource["singularResource"],
            namespaced=resource["scope"] == "Namespaced",
        )
        for resource in versions[0]["resources"]
        if "list" in resource["verbs"]
    ]
