"""The lists of a tree that fleet generated: what they bring is put together from their entries.

A list that has nothing but resources changes none of them. So kustomize builds each entry once for
all clusters, and no list is built. All other kustomizations are built by kustomize whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fleet.inventory.entries import Entries, put_together
from fleet.inventory.independence import Entry
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.manifest import Manifest
from fleet.render import layout

_FILE = KUSTOMIZATION_FILES[0]
_TYPE = {"apiVersion", "kind"}


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The lists of one tree.

    `files` has the objects of each file by its path in the repository, or None if it is not as
    fleet generated it. Flux's install manifests are not among them: all clusters share their text,
    `components`; it is None where they are missing.
    """

    entries: Entries
    files: Mapping[str, Sequence[Manifest] | None]
    components: str | None

    def built(self, path: str) -> Entry | None:
        """Return what a folder of the tree builds, None if kustomize has to build it whole."""
        if f"{path}/{_FILE}" not in self.files:
            return self._all_files(path)
        manifests = self.files[f"{path}/{_FILE}"]
        content = manifests[0] if manifests else {}
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
        manifests = self.files.get(file)
        return None if manifests is None else Entry(lists=(manifests,))

    def _patched(self, target: str, patches: Sequence[Fields]) -> Entry | None:
        """Return what a file of a list with patches builds.

        A patch that names the kind of its targets changes no object of another kind.
        """
        kinds = [mapping_at(patch, "target").get("kind") for patch in patches]
        if None in kinds:
            return None
        if not _is_components(target):
            entry = self._file(target)
            is_changed = entry and any(item.get("kind") in kinds for item in entry.manifests)
            return None if is_changed else entry
        return self.entries.patched(str(self.components), patches)


def _is_components(target: str) -> bool:
    return target.endswith(f"/{layout.COMPONENTS_FILE}")
