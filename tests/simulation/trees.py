"""The checks of `fleet check` for one tree after the other, with each build done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from fleet.check import build, cluster_rules, crds, json_schemas, schemas
from fleet.check.build import Repository
from fleet.check.built_object import BuiltObject
from fleet.check.findings import Finding
from fleet.check.scopes import Scopes
from fleet.config import definitions
from fleet.config.models import Stack

Build = Callable[..., str]


class Trees:
    """The trees of one cluster in one repository."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._repository: Repository = build.pack(root, folder / "repository")
        self._folder = folder
        self._namespaces = definitions.namespace_folders(self._repository.copy)
        self._crds = list(definitions.crds(self._repository.copy))
        self._scopes = Scopes(self._crds, json_schemas.folder())
        self._objects: dict[str, BuiltObject] = {}

    def findings(self, stack: Stack, files: Mapping[str, str]) -> list[Finding]:
        """Return what `fleet check` finds in a tree, without what schemas find.

        `stack` has the stages of the tree, which may be between those of two stacks.
        """
        cluster = build.build_tree(self._repository, stack.path, files)
        for built in cluster.objects:
            self._objects.setdefault(json.dumps(built.manifest, sort_keys=True), built)
        found = list(cluster.findings)
        if cluster.is_complete:
            found += cluster_rules.findings(stack, cluster.objects, self._namespaces, self._scopes)
        return found

    def schema_findings(self) -> list[Finding]:
        """Return what schemas find in all objects of all trees so far."""
        of_crds = self._folder / "crds"
        crds.write_schemas(self._crds, of_crds)
        locations = [*schemas.locations([str(of_crds)]), *schemas.locations(())]
        found, _ = schemas.validate(list(self._objects.values()), self._folder, locations)
        return found


def cached(original: Build) -> Build:
    """Return `kustomize.build`, which builds a folder with the same files only once.

    Only trees change, so the files of the folder itself are enough.
    """
    known: dict[tuple[str, ...], str] = {}

    def build_once(root: Path, path: str, *options: str) -> str:
        key = (str(root), path, *_texts(root / path))
        if key not in known:
            known[key] = original(root, path, *options)
        return known[key]

    return build_once


def _texts(folder: Path) -> list[str]:
    """Return the names and texts of the files that decide what is built from a folder."""
    # A tree is built from its own files and from the list of Flux and that of the tenants.
    names = ("*.yaml", "flux-system/*.yaml", "tenants/*.yaml")
    files = sorted(file for name in names for file in folder.glob(name))
    return [text for file in files for text in (file.name, file.read_text())]
