"""The lists of a tree that fleet generated: what they bring is put together from their entries.

A list that has nothing but resources changes none of them. So kustomize builds each entry once for
all clusters, and no list is built. All other kustomizations are built by kustomize whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fleet.inventory.entries import Entries, put_together
from fleet.inventory.independence import Entry
from fleet.kube import yaml_reader
from fleet.kube.builds import Inputs
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.yaml_writer import to_yaml
from fleet.render import header, layout

_FILE = KUSTOMIZATION_FILES[0]
_TYPE = {"apiVersion", "kind"}
# The folder of a build whose files are the same in many trees.
_ANY_TREE = "clusters/any"
_ONE_FILE = "objects.yaml"


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The lists of one tree.

    `files` are all of its files by their path in the repository, without Flux's install manifests.
    All clusters share the text of these, `components`; it is None where they are missing.
    """

    entries: Entries
    files: Mapping[str, str]
    components: str | None

    def built(self, path: str) -> Entry | None:
        """Return what a folder of the tree builds, None if kustomize has to build it whole."""
        if f"{path}/{_FILE}" not in self.files:
            return self._all_files(path)
        content = self._generated(f"{path}/{_FILE}")
        keys = set(content) - _TYPE
        if keys not in ({"resources"}, {"resources", "patches"}):
            return None
        targets = [posixpath.normpath(f"{path}/{name}") for name in content["resources"]]
        if self.components is None:
            targets = [target for target in targets if not _is_components(target)]
        patches = mappings_in(content.get("patches"))
        if patches:
            return put_together([self._patched(target, patches) for target in targets])
        if any(self._is_in_tree(target) for target in targets):
            return put_together([self._target(target) for target in targets])
        return self.entries.together(tuple(targets))

    def _all_files(self, folder: str) -> Entry | None:
        """Return what a folder without a kustomization builds: Flux lists all of its files."""
        files = self._by_folder.get(folder)
        has_folders = any(posixpath.dirname(other) == folder for other in self._by_folder)
        if not files or has_folders:
            return None
        return put_together([self._file(file) for file in files])

    @cached_property
    def _by_folder(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for file in self.files:
            found.setdefault(posixpath.dirname(file), []).append(file)
        return found

    def _is_in_tree(self, target: str) -> bool:
        return target in self.files or f"{target}/{_FILE}" in self.files or _is_components(target)

    def _target(self, target: str) -> Entry | None:
        if target in self.files:
            return self._file(target)
        if f"{target}/{_FILE}" in self.files:
            return self.built(target)
        return self.entries.together((target,))

    def _file(self, file: str) -> Entry | None:
        text = self.files.get(file, "")
        return _entry_of(text) if header.fits(text) else None

    def _patched(self, target: str, patches: Sequence[Fields]) -> Entry | None:
        """Return what a file of a list with patches builds.

        A patch that names the kind of its targets changes no object of another kind.
        """
        kinds = [mapping_at(patch, "target").get("kind") for patch in patches]
        text = self.components if _is_components(target) else self.files.get(target)
        if text is None or None in kinds:
            return None
        if not any(f"kind: {kind}\n" in text for kind in kinds):
            return _entry_of(text)
        listing = {"resources": [f"./{_ONE_FILE}"], "patches": list(patches)}
        files = {_FILE: to_yaml(listing), _ONE_FILE: text}
        paths = {f"{_ANY_TREE}/{name}": content.encode() for name, content in files.items()}
        return self.entries.built(Inputs(path=_ANY_TREE, files=paths, folders=frozenset()))

    def _generated(self, file: str) -> dict[str, Any]:
        """Return the content of a kustomization that is as fleet generated it, else nothing."""
        text = self.files.get(file, "")
        content = yaml_reader.documents(text)[0] if header.fits(text) else None
        return content if isinstance(content, dict) else {}


def _entry_of(text: str) -> Entry:
    found = yaml_reader.documents(text)
    return Entry(manifests=tuple(manifest for manifest in found if manifest is not None))


def _is_components(target: str) -> bool:
    return target.endswith(f"/{layout.COMPONENTS_FILE}")
