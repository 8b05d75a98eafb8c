"""The checks of `fleet check` for one tree after the other, with each build done once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fleet.check import cluster_rules, crds, json_schemas, schemas
from fleet.check.scopes import Scopes
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.inventory import build
from fleet.inventory.build import Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects


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
            found += cluster_rules.findings(stack, cluster, self._namespaces, self._scopes)
        return found

    def schema_findings(self) -> list[Finding]:
        """Return what schemas find in all objects of all trees so far."""
        of_crds = self._folder / "crds"
        crds.write_schemas(self._crds, of_crds)
        locations = [*schemas.locations([str(of_crds)]), *schemas.locations(())]
        validation = schemas.Validation(work=self._folder, locations=locations)
        found, _ = schemas.validate([Objects.of(self._objects.values())], validation)
        return found
