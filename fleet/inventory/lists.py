"""The lists of a tree that fleet generated: what they bring is put together from their entries.

A list that has nothing but resources changes none of them. So kustomize builds each entry once for
all clusters, and no list is built. All other kustomizations are built by kustomize whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        if not header.fits(text):
            return None
        return Entry(manifests=tuple(yaml_reader.documents(text)))

    def _patched(self, target: str, patches: Sequence[Fields]) -> Entry | None:
        """Return what a file of a list with patches builds.

        A patch that names the kind of its targets changes no object of another kind.
        """
        kinds = [mapping_at(patch, "target").get("kind") for patch in patches]
        text = self.components if _is_components(target) else self.files.get(target)
        if text is None or None in kinds:
            return None
        if not any(f"kind: {kind}\n" in text for kind in kinds):
            return self._file(target)
        listing = {"resources": [f"./{_ONE_FILE}"], "patches": list(patches)}
        files = {_FILE: to_yaml(listing), _ONE_FILE: text}
        paths = {f"{_ANY_TREE}/{name}": content.encode() for name, content in files.items()}
        return self.entries.built(Inputs(path=_ANY_TREE, files=paths, folders=frozenset()))

    def _generated(self, file: str) -> dict[str, Any]:
        """Return the content of a kustomization that is as fleet generated it, else nothing."""
        text = self.files.get(file, "")
        content = yaml_reader.documents(text)[0] if header.fits(text) else None
        return content if isinstance(content, dict) else {}


def _is_components(target: str) -> bool:
    return target.endswith(f"/{layout.COMPONENTS_FILE}")
