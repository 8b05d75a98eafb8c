"""The changes that each item of a kustomization makes, as builds by kustomize show them.

A kustomization is built with its first items, then with one more, and so on. Two builds that follow
each other differ by what the item between them does.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import CommandError
from fleet.inventory import field_diff
from fleet.inventory.build import Repository
from fleet.inventory.field_diff import FieldDifference
from fleet.kube import flux_build, yaml_reader
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.provenance import kustomization_items
from fleet.provenance.kustomization_items import Item, Kustomization

_ORIGIN = "config.kubernetes.io/origin"
_METADATA = {"buildMetadata": ["originAnnotations"]}


@dataclass(frozen=True, kw_only=True)
class Traced:
    """An object of a build, and kustomize's own word about its origin.

    `file` is the file that has it, or the kustomization whose generator makes it.
    """

    manifest: Manifest
    file: str
    is_generated: bool

    @property
    def id(self) -> ObjectId:
        """The identity of the object."""
        return object_id(self.manifest)


@dataclass(frozen=True, kw_only=True)
class Step:
    """An item that changes or adds the object; an added object had no fields before."""

    kustomization: Kustomization
    item: Item
    changes: tuple[FieldDifference, ...]
    is_addition: bool = False


@dataclass(frozen=True, kw_only=True)
class Level:
    """The steps of one kustomization, first to last, and the object as it was before them."""

    kustomization: Kustomization
    steps: Sequence[Step]
    before: Traced


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The kustomizations of a repository, and their builds, each done once."""

    repository: Repository
    _builds: dict[tuple[str, tuple[tuple[str, Item], ...] | None], Sequence[Traced] | None] = field(
        default_factory=dict
    )
    _kustomizations: dict[str, Kustomization] = field(default_factory=dict)

    def kustomization(self, folder: str) -> Kustomization:
        """Return the kustomization of a folder. Raises CommandError."""
        if folder not in self._kustomizations:
            found = kustomization_items.read(self.repository.copy, folder)
            self._kustomizations[folder] = found
        return self._kustomizations[folder]

    def objects(self, folder: str) -> Sequence[Traced]:
        """Return what kustomize builds from a folder, with origins; nothing if it fails."""
        return self._build(folder, None) or ()

    def level(self, folder: str, wanted: Traced) -> Level:
        """Return what the kustomization of a folder does to an object of its build."""
        top = self.kustomization(folder)
        all_steps = list(self._all_steps(top, set()))
        start = _counterpart(wanted, self._build(folder, ()) or ())
        if start is not None and start.manifest == wanted.manifest:
            return Level(kustomization=top, steps=(), before=start)
        steps: list[Step] = []
        current = wanted
        for count in range(len(all_steps) - 1, -1, -1):
            before = self._build(folder, tuple((k.folder, item) for k, item in all_steps[:count]))
            if before is None:
                # An item may need a later one. The changes of both are those of the first.
                continue
            kustomization, item = all_steps[count]
            found = _counterpart(current, before)
            changes = field_diff.differences(found.manifest, current.manifest) if found else ()
            if changes or found is None:
                step = Step(
                    kustomization=kustomization,
                    item=item,
                    changes=changes,
                    is_addition=found is None,
                )
                steps.insert(0, step)
            if found is None:
                break
            current = found
        return Level(kustomization=top, steps=steps, before=current)

    def _all_steps(
        self, kustomization: Kustomization, seen: set[str]
    ) -> Iterator[tuple[Kustomization, Item]]:
        """Yield the items of a kustomization and of its components, in kustomize's order."""
        for item in kustomization.steps:
            yield kustomization, item
            if item.is_component and isinstance(item.value, str):
                folder = posixpath.normpath(f"{kustomization.folder}/{item.value}")
                if folder not in seen and (self.repository.copy / folder).is_dir():
                    seen.add(folder)
                    yield from self._all_steps(self.kustomization(folder), seen)

    def _build(
        self, folder: str, kept: tuple[tuple[str, Item], ...] | None
    ) -> Sequence[Traced] | None:
        """Build a folder with only these of its steps, or with all; None if it does not build."""
        key = (folder, kept)
        if key not in self._builds:
            self._builds[key] = self._built(folder, kept)
        return self._builds[key]

    def _built(
        self, folder: str, kept: tuple[tuple[str, Item], ...] | None
    ) -> Sequence[Traced] | None:
        artifact = self.repository.entries.folder(folder)
        if flux_build.reference_problems(artifact, {}):
            return None
        try:
            contents = dict(self._contents(folder, kept))
            manifests = flux_build.build_changed(artifact, contents).manifests
        except CommandError:
            return None
        return [_traced(folder, manifest) for manifest in manifests]

    def _contents(
        self, folder: str, kept: Iterable[tuple[str, Item]] | None
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        top = self.kustomization(folder)
        folders = dict.fromkeys([folder, *(k.folder for k, _ in self._all_steps(top, set()))])
        for name in folders:
            found = self.kustomization(name)
            items = found.steps if kept is None else [item for k, item in kept if k == name]
            content = found.content_with(items)
            has_file = found.file != found.folder
            file = found.file if has_file else f"{name}/{KUSTOMIZATION_FILES[0]}"
            # Below the folder it has no effect, but kustomize refuses a kustomization without keys.
            yield file, {**content, **_METADATA}


def traced_like(manifest: Manifest, objects: Sequence[Traced]) -> Traced | None:
    """Return the object of a build that has the identity of a manifest."""
    wanted = object_id(manifest)
    return next((found for found in objects if found.id == wanted), None)


def plain_of(applied: Manifest, objects: Sequence[Traced], spec: Fields) -> Traced | None:
    """Return the object as it is without the name and the namespace that a Kustomization sets."""
    if found := traced_like(applied, objects):
        return found
    wanted = object_id(applied)
    prefix, suffix = (str(spec.get(key) or "") for key in ("namePrefix", "nameSuffix"))
    same = [
        found
        for found in objects
        if found.id[:2] == wanted[:2] and f"{prefix}{found.id.name}{suffix}" == wanted.name
    ]
    return same[0] if len(same) == 1 else None


def _traced(folder: str, manifest: Manifest) -> Traced:
    metadata = mapping_at(manifest, "metadata")
    annotations = dict(mapping_at(metadata, "annotations"))
    origin = _origin(str(annotations.pop(_ORIGIN, "")))
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    # kustomize adds the annotation, and so maybe the key that has all annotations.
    kept = {"annotations": annotations} if annotations else {}
    name = origin.get("path") or origin.get("configuredIn") or ""
    return Traced(
        manifest={**manifest, "metadata": {**kept, **rest}},
        file=posixpath.normpath(f"{folder}/{name}"),
        is_generated="path" not in origin,
    )


def _origin(text: str) -> Fields:
    try:
        (found,) = yaml_reader.documents(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _counterpart(wanted: Traced, objects: Sequence[Traced]) -> Traced | None:
    """Return the object of another build that is the same one, maybe with another name or kind."""
    same = [
        found
        for found in objects
        if (found.file, found.is_generated) == (wanted.file, wanted.is_generated)
    ]
    if found := traced_like(wanted.manifest, same) or traced_like(wanted.manifest, objects):
        return found
    kinds = [found for found in same if found.id[:2] == wanted.id[:2]]
    names = [found for found in kinds if _is_part(found.id.name, wanted.id.name)]
    exact = [found for found in names if found.id.name == wanted.id.name]
    for candidates in (exact, names, kinds, same):
        if len(candidates) == 1:
            return candidates[0]
    return max(names, key=lambda found: len(found.id.name), default=None)


def _is_part(one: str, other: str) -> bool:
    """Tell whether a name is the other one with a prefix or a suffix, or without its hash."""
    return one in other or other in one or one.rpartition("-")[0] == other.rpartition("-")[0] != ""
