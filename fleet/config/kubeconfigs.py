"""The clusters that contexts of kubeconfig files lead to, as far as the files tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fleet.kube import kubeconfig

_HTTPS = 443


@dataclass(frozen=True, kw_only=True)
class Address:
    """A context of a file, and the server behind it, None if the file does not tell.

    Two files are the same if they are one file on this machine, however their paths are written.
    """

    file: str
    context: str
    server: tuple[str, ...] | None

    @property
    def clusters(self) -> list[tuple[str, ...]]:
        """Names of the cluster; two addresses with a name in common lead to one cluster."""
        context = ("context", self.file, self.context)
        return [context] if self.server is None else [context, ("server", *self.server)]


class Clusters:
    """The clusters behind the addresses of stacks, as far as the files tell."""

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self.addresses = addresses
        self._stacks: dict[tuple[str, ...], list[str]] = {}
        for name, address in addresses.items():
            for cluster in address.clusters:
                self._stacks.setdefault(cluster, []).append(name)

    def others(self, name: str) -> list[str]:
        """Return the other stacks of the same cluster."""
        own = self.addresses[name].clusters if name in self.addresses else ()
        found = {other for cluster in own for other in self._stacks[cluster]} - {name}
        # Most clusters have one stack, and need no look at all others.
        return [other for other in self.addresses if other in found] if found else []


def addresses(root: Path, contexts: Mapping[str, tuple[str, str] | None]) -> dict[str, Address]:
    """Return the address of each stack's (kubeconfig, context); each file is read once."""
    contents: dict[str, Mapping[str, Any]] = {}
    found: dict[str, Address] = {}
    for name, pair in contexts.items():
        if pair is None:
            continue
        file, context = os.path.realpath(root / pair[0]), pair[1]
        if file not in contents:
            contents[file] = _content(Path(file))
        found[name] = Address(file=file, context=context, server=_server(contents[file], context))
    return found


def _content(file: Path) -> Mapping[str, Any]:
    try:
        return kubeconfig.read(file)
    except (OSError, ValueError):
        return {}  # `pulumi up` reports it, and another machine may have the file.


def _server(content: Mapping[str, Any], context: str) -> tuple[str, ...] | None:
    pair = kubeconfig.find(content, "context", context) or {}
    cluster = kubeconfig.find(content, "cluster", pair.get("cluster")) or {}
    user = kubeconfig.find(content, "user", pair.get("user")) or {}
    url = cluster.get("server")
    if not isinstance(url, str):
        return None
    # A proxy can serve many clusters under one URL, and learn from the credential which one.
    plugin = user.get("exec")
    args = plugin.get("args", "") if isinstance(plugin, dict) else ""
    return (_plain(url), str(cluster.get("tls-server-name", "")), str(args))


def _plain(url: str) -> str:
    """Return the same text for all spellings of a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _HTTPS
    except ValueError:
        return url
    return f"{parts.hostname}:{port}{parts.path.rstrip('/')}"
