"""The lines of stack files that decide what a cluster holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.config.stack_files import PROJECT_FILE
from fleet.inventory.model import Cluster
from fleet.kube import yaml_lines
from fleet.provenance.link import Link, LinkKind


@dataclass(frozen=True, kw_only=True)
class StackLines:
    """The stack files of a checkout."""

    root: Path
    _texts: dict[str, str] = field(default_factory=dict)
    _links: dict[tuple[str, tuple[str | int, ...], str], Link] = field(default_factory=dict)

    def entry(self, cluster: Cluster, folder: str, path: str) -> Link:
        """Return the line that lists a definition of a shared folder."""
        entries = _entries(cluster)[folder]
        text = f"fleet:{folder} lists {path}"
        return self._link(cluster, (f"fleet:{folder}", entries.index(path)), text)

    def entries(self, cluster: Cluster, folder: str) -> Link:
        """Return the line of the key that lists the definitions of a shared folder."""
        return self._link(cluster, (f"fleet:{folder}",), f"fleet:{folder} has entries for it")

    def tenant(self, cluster: Cluster, name: str) -> Link:
        """Return the line of a tenant."""
        names = [tenant.name for tenant in cluster.own_stack.config.tenants]
        return self._link(
            cluster, ("fleet:tenants", names.index(name)), f"fleet:tenants has {name}"
        )

    def facts(self, cluster: Cluster) -> Link:
        """Return the line of the key with the cluster's facts."""
        return self._link(cluster, ("fleet:facts",), "fleet:facts has facts")

    def fact(self, cluster: Cluster, name: str) -> Link:
        """Return the line of one fact."""
        return self._link(cluster, ("fleet:facts", name), f"fleet:facts has {name}")

    def flux(self, cluster: Cluster) -> Link:
        """Return the line of the release of Flux, which all clusters may share."""
        text = f"fleet:flux is {cluster.own_stack.config.flux.version}"
        return self._link(cluster, ("fleet:flux",), text)

    def _link(self, cluster: Cluster, keys: tuple[str | int, ...], text: str) -> Link:
        key = (cluster.name, keys, text)
        if key not in self._links:
            self._links[key] = self._found(cluster.own_stack.file, keys, text)
        return self._links[key]

    def _found(self, own: str, keys: tuple[str | int, ...], text: str) -> Link:
        key, *rest = keys
        # In Pulumi.yaml, the value of a key is one level deeper.
        shared = (key, "value", *rest) if rest else (key,)
        for file, path in ((own, keys), (PROJECT_FILE, shared)):
            line = yaml_lines.line_of(self._text(file), ("config", *path))
            if line is not None:
                return Link(kind=LinkKind.STACK, file=file, line=line, text=text)
        return Link(kind=LinkKind.STACK, file=own, line=None, text=text)

    def _text(self, file: str) -> str:
        if file not in self._texts:
            self._texts[file] = (self.root / file).read_text("utf-8", "replace")
        return self._texts[file]


def _entries(cluster: Cluster) -> Mapping[str, list[str]]:
    config = cluster.own_stack.config
    return {
        "apps": [entry.path for entry in config.apps],
        "infrastructure": [entry.path for entry in config.infrastructure],
    }
