"""The chain inside shared definitions: from the folder of an entry to the file with the object."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fleet.inventory import field_diff
from fleet.inventory.build import Repository
from fleet.inventory.field_diff import FieldDifference
from fleet.kube import flux_build, yaml_lines, yaml_reader
from fleet.kube.fields import Fields
from fleet.kube.flux_build import CHANGING_FIELDS
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.provenance import levels
from fleet.provenance.kustomization_items import Item, Kustomization
from fleet.provenance.levels import Level, Levels, Step, Traced
from fleet.provenance.link import Link, LinkKind


@dataclass(frozen=True, kw_only=True)
class DefinitionChains:
    """The chains inside the definitions of a repository."""

    repository: Repository
    _inputs: dict[str, frozenset[str]] = field(default_factory=dict)
    _ids: dict[str, Collection[ObjectId]] = field(default_factory=dict)

    def ids(self, folder: str) -> Collection[ObjectId]:
        """Return the identities of all objects that a folder builds, in its order."""
        if folder not in self._ids:
            entry = self.repository.entries.together((folder,))
            manifests = entry.manifests if entry else ()
            self._ids[folder] = dict.fromkeys(object_id(manifest) for manifest in manifests)
        return self._ids[folder]

    def file_of(self, folder: str, wanted: Manifest) -> str | None:
        """Return the file with the object that kustomize makes an object of a folder from."""
        found = levels.traced_like(wanted, self._levels.objects(folder))
        return found.file if found else None

    @cached_property
    def _levels(self) -> Levels:
        return Levels(repository=self.repository)

    def links(self, folder: str, wanted: Manifest) -> tuple[Link, ...]:
        """Return the links from the kustomization of a folder to the file with an object."""
        found = levels.traced_like(wanted, self._levels.objects(folder))
        return tuple(self._below(folder, found)) if found else ()

    def component_links(self, folder: str, spec: Fields, applied: Manifest) -> tuple[Link, ...]:
        """Return the links to an object that a component of a Flux Kustomization adds."""
        for name in flux_build.components(self.repository.entries.folder(folder), spec):
            target = posixpath.normpath(f"{folder}/{name}")
            if not (self.repository.copy / target).is_dir():
                continue
            if found := levels.plain_of(applied, self._levels.objects(target), spec):
                return self.links(target, found.manifest)
        return ()

    def flux_changes(
        self, folder: str, spec: Fields, applied: Manifest
    ) -> tuple[Manifest, tuple[FieldDifference, ...]]:
        """Return an object of a folder as it is without the fields of a Flux Kustomization.

        The second value is what the fields change.
        """
        plain = self._levels.objects(folder)
        if not any(name in spec for name in CHANGING_FIELDS) or not plain:
            return applied, ()
        found = levels.plain_of(applied, plain, spec)
        if found is None:
            return applied, ()
        return found.manifest, field_diff.differences(found.manifest, applied)

    def line(self, file: str, document: int | None, path: Sequence[str | int]) -> int | None:
        """Return the line of a field of an object's spec, or else that of its document."""
        text = (self.repository.copy / file).read_text("utf-8", "replace")
        lines = yaml_lines.document_lines(text)
        position = lines.index(document) if document in lines else 0
        return yaml_lines.line_of(text, ("spec", *path), position) or document

    def _below(self, folder: str, wanted: Traced) -> Iterator[Link]:
        level = self._levels.level(folder, wanted)
        source = level.kustomization
        added = next((step for step in level.steps if step.is_addition), None)
        if added is not None:
            yield self._step_link(added)
            source = self._component(added) or source
        # A change is shown where it is made, after the list that brings the object.
        changes = [self._step_link(step) for step in level.steps if not step.is_addition]
        inner = list(self._from(source, level))
        yield from inner[:1]
        yield from changes
        yield from inner[1:]

    def _step_link(self, step: Step) -> Link:
        source, item = step.kustomization, step.item
        path = item.file and posixpath.normpath(f"{source.folder}/{item.file}")
        is_there = path and (self.repository.copy / path).exists()
        text = f"{item.key}: {path}" if is_there else item.text
        return Link(
            kind=LinkKind.CHANGE,
            file=source.file,
            line=source.line(item),
            text=f"{text} adds it" if step.is_addition else text,
            changes=step.changes,
        )

    def _component(self, step: Step) -> Kustomization | None:
        if not step.item.is_component:
            return None
        return self._levels.kustomization(_target(step.kustomization, step.item))

    def _from(self, source: Kustomization, level: Level) -> Iterator[Link]:
        """Yield the links from the item of a kustomization that brings an object."""
        wanted = level.before
        if wanted.is_generated and wanted.file == source.file:
            for item in source.generators:
                name = item.value.get("name") if isinstance(item.value, dict) else None
                if str(name) in wanted.id.name:
                    yield _link(LinkKind.GENERATOR, source, item, f"generates {wanted.id}")
                    return
        listed = self._bringing(source, wanted)
        if listed is None:
            return
        # Flux makes a kustomization of all files for a folder that has none.
        subject = "" if source.text else "has no kustomization, so Flux "
        yield _link(LinkKind.LIST, source, listed, f"{subject}lists {listed.value}")
        target = _target(source, listed)
        if (self.repository.copy / target).is_dir():
            found = levels.traced_like(wanted.manifest, self._levels.objects(target))
            yield from self._below(target, found or wanted)
        else:
            yield self._file_link(target, wanted)

    def _bringing(self, source: Kustomization, wanted: Traced) -> Item | None:
        """Return the item of a list that brings an object."""
        found = [
            item
            for item in source.resources
            if isinstance(item.value, str) and wanted.file in self._reads(_target(source, item))
        ]
        if len(found) < 2:
            return next(iter(found), None)
        # Two folders of the list have the same base, and one of them builds this object.
        builds = ((item, self._levels.objects(_target(source, item))) for item in found)
        return next(
            (item for item, built in builds if levels.traced_like(wanted.manifest, built)), found[0]
        )

    def _reads(self, target: str) -> frozenset[str]:
        """Return the files that a resource is made of."""
        if target not in self._inputs:
            artifact = self.repository.entries.folder(target)
            is_folder = artifact.folder.is_dir()
            files = frozenset(flux_build.inputs(artifact).files) if is_folder else {target}
            self._inputs[target] = frozenset(files)
        return self._inputs[target]

    def _file_link(self, file: str, wanted: Traced) -> Link:
        text = (self.repository.copy / file).read_text("utf-8", "replace")
        line = object_line(text, wanted.id)
        return Link(kind=LinkKind.OBJECT, file=file, line=line, text=str(wanted.id))


def object_line(text: str, wanted: ObjectId) -> int | None:
    """Return the line on which the document of an object begins.

    kustomize may set a namespace without a word, so the one without it counts too.
    """
    try:
        documents = yaml_reader.documents(text)
    except ValueError:
        return None
    lines = yaml_lines.document_lines(text)
    ids = [object_id(item) if isinstance(item, dict) else None for item in documents]
    for candidate in (wanted, wanted._replace(namespace="")):
        if candidate in ids[: len(lines)]:
            return lines[ids.index(candidate)]
    return lines[0] if lines else None


def _target(source: Kustomization, item: Item) -> str:
    return posixpath.normpath(f"{source.folder}/{item.value}")


def _link(kind: LinkKind, source: Kustomization, item: Item, text: str) -> Link:
    return Link(kind=kind, file=source.file, line=source.line(item), text=text)
