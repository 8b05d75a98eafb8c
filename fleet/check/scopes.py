"""The scopes of kinds: an object is in a namespace, or in the whole cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fleet.check import json_schemas
from fleet.kube import scopes
from fleet.kube.manifest import Manifest
from fleet.kube.scopes import NAMESPACED


class Scopes:
    """The scopes of the kinds of CRDs and of JSON Schemas; no other kind has a known scope."""

    def __init__(self, known_crds: Iterable[Manifest], schemas: Path) -> None:
        self._of_crds = scopes.of_crds(known_crds)
        self._schemas = schemas
        self._known: dict[tuple[str, str], bool] = {}

    def is_namespaced(self, api_version: str, kind: str) -> bool:
        """Tell whether a kind is known to be namespaced."""
        if (api_version, kind) not in self._known:
            self._known[api_version, kind] = self._is_namespaced(api_version, kind)
        return self._known[api_version, kind]

    def _is_namespaced(self, api_version: str, kind: str) -> bool:
        group = api_version.rpartition("/")[0]
        scope = self._of_crds.get((group, kind))
        if scope is None and json_schemas.are_names(api_version, kind):
            location = json_schemas.location(api_version, kind)
            scope = _scope(self._schemas / location)
        return scope == NAMESPACED


@cache
def _scope(schema: Path) -> str | None:
    """Return the scope that a JSON Schema names, None without one."""
    if not schema.is_file():
        return None
    content = json.loads(schema.read_text(encoding="utf-8"))
    return str(content.get(json_schemas.SCOPE))
