"""The chain inside the tree of a cluster, which fleet generated."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fleet.inventory import field_diff
from fleet.inventory.model import Cluster
from fleet.kube import yaml_lines, yaml_reader
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.kube.yaml_writer import to_yaml
from fleet.provenance.definition_chain import DefinitionChains, object_line
from fleet.provenance.link import Link, LinkKind
from fleet.render import header, layout, rendered

_FILE = KUSTOMIZATION_FILES[0]


@dataclass(frozen=True, kw_only=True)
class TreeChain:
    """The lists and files of one cluster's tree."""

    cluster: Cluster
    definitions: DefinitionChains

    def links(self, folder: str, wanted: Manifest) -> list[Link] | None:
        """Return the links from a folder of the tree to an object; None if it is not in there."""
        # Flux's install manifests are large, so they come last.
        found = self._links(folder, wanted, in_components=False)
        return found or self._links(folder, wanted, in_components=True)

    def file_of(self, wanted: Manifest) -> str:
        """Return the file of the tree that has an object, empty if there is none."""
        return next((path for path in self.cluster.build.tree if self._has(path, wanted)), "")

    def _links(self, folder: str, wanted: Manifest, *, in_components: bool) -> list[Link] | None:
        listing = self.cluster.build.tree.get(f"{folder}/{_FILE}")
        if listing is None or not listing.manifests:
            files = (path for path in self.cluster.build.tree if posixpath.dirname(path) == folder)
            found = next((path for path in files if self._has(path, wanted)), None)
            return self._file_links(found, wanted) if found else None
        content = listing.manifests[0]
        for index, name in enumerate(content.get("resources", ())):
            target = posixpath.normpath(f"{folder}/{name}")
            if target.endswith(f"/{layout.COMPONENTS_FILE}"):
                below = self._in_components(content, folder, wanted) if in_components else None
            else:
                below = self._below(target, wanted, in_components=in_components)
            if below is not None:
                return [self._item(f"{folder}/{_FILE}", index, f"lists {name}"), *below]
        return None

    def _below(self, target: str, wanted: Manifest, *, in_components: bool) -> list[Link] | None:
        tree = self.cluster.build.tree
        if target in tree:
            return self._file_links(target, wanted) if self._has(target, wanted) else None
        if f"{target}/{_FILE}" in tree:
            return self._links(target, wanted, in_components=in_components)
        if object_id(wanted) in self.definitions.ids(target):
            return list(self.definitions.links(target, wanted))
        return None

    def _has(self, path: str, wanted: Manifest) -> bool:
        manifests = self.cluster.build.tree[path].manifests or ()
        return any(object_id(item) == object_id(wanted) for item in manifests)

    def _file_links(self, path: str, wanted: Manifest) -> list[Link]:
        text = self.cluster.build.files[path]
        found = object_id(wanted)
        line = object_line(text, found)
        link = Link(kind=LinkKind.OBJECT, file=path, line=line, text=str(found))
        source = rendered.source_of(text)
        if source is None:
            return [link]
        made = Link(
            kind=LinkKind.RENDERED,
            file=path,
            line=line,
            text=f"`pulumi up` renders {found} from {source}",
        )
        return [made, *self.definitions.links(source, wanted)]

    @cached_property
    def _components(self) -> Mapping[ObjectId, tuple[Manifest, int]]:
        """Flux's install manifests, each with its line."""
        build = self.cluster.build
        text = header.with_header(self.cluster.own_stack.file, build.components or "")
        lines = yaml_lines.document_lines(text)
        documents = yaml_reader.documents(text)
        return {
            object_id(item): (item, line)
            for item, line in zip(documents, lines, strict=False)
            if isinstance(item, dict)
        }

    def _in_components(self, content: Fields, folder: str, wanted: Manifest) -> list[Link] | None:
        found = object_id(wanted)
        if found not in self._components:
            return None
        plain, line = self._components[found]
        file = f"{self.cluster.path}/{layout.COMPONENTS_FILE}"
        patches = mappings_in(content.get("patches"))
        return [
            *self._patch_links(f"{folder}/{_FILE}", patches, plain),
            Link(kind=LinkKind.OBJECT, file=file, line=line, text=str(found)),
        ]

    def _patch_links(self, file: str, patches: Sequence[Fields], plain: Manifest) -> Iterator[Link]:
        """Yield the patches of Flux's folder that change one of its objects."""
        entries = self.cluster.build.repository.entries
        before = plain
        for index, patch in enumerate(patches):
            if mapping_at(patch, "target").get("kind") != plain.get("kind"):
                continue
            built = entries.patched(to_yaml(plain), patches[: index + 1])
            after = built.manifests[0] if built else before
            if changes := field_diff.differences(before, after):
                line = self._line(file, ("patches", index))
                kind = LinkKind.CHANGE
                yield Link(kind=kind, file=file, line=line, text="patches", changes=changes)
            before = after

    def _item(self, file: str, index: int, text: str) -> Link:
        line = self._line(file, ("resources", index))
        return Link(kind=LinkKind.LIST, file=file, line=line, text=text)

    def _line(self, file: str, path: tuple[str | int, ...]) -> int | None:
        return yaml_lines.line_of(self.cluster.build.files[file], path)
