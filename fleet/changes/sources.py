"""The changed files that cause the changes of objects, with the lines to look at."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fleet.changes.object_changes import Pair
from fleet.changes.revisions import ChangedFile
from fleet.config.models import Stack
from fleet.config.stack_files import PROJECT_FILE
from fleet.errors import CommandError
from fleet.inventory.build import Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.model import Fleet
from fleet.kube import flux_build, yaml_lines, yaml_reader
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import ObjectId, object_id
from fleet.render import entry_lists, flux_paths, stages
from fleet.render.definition_build import TREES


@dataclass(frozen=True, kw_only=True, order=True)
class Source:
    """A changed file and a line of it, as it is after the change; of a removed file the line 1."""

    path: str
    line: int


class Sources:
    """The changed files of a fleet, and the folders whose builds read them."""

    def __init__(self, before: Fleet, after: Fleet, changed: Mapping[str, ChangedFile]) -> None:
        self._fleets = (before, after)
        self._changed = changed
        self._reads: dict[str, frozenset[str]] = {}
        self._ids: dict[tuple[int, str], frozenset[ObjectId]] = {}
        self._of_objects: dict[tuple[int, int, str], tuple[Pair, tuple[Source, ...]]] = {}
        self._files: dict[tuple[int, str], _File] = {}
        clusters = [cluster for fleet in self._fleets for cluster in fleet.clusters.values()]
        self._stack_files = {cluster.stack.file for cluster in clusters if cluster.stack}

    @cached_property
    def shared(self) -> frozenset[str]:
        """The changed files that belong to no cluster alone and are no stack files."""
        return frozenset(
            path
            for path in self._changed
            if not self._is_in_tree(path) and not self._is_stack_file(path)
        )

    def _is_stack_file(self, path: str) -> bool:
        return bool(self._stack_files) and path in (PROJECT_FILE, *self._stack_files)

    def _is_in_tree(self, path: str) -> bool:
        """Tell whether a path is in a tree that fleet generated."""
        return bool(self._stack_files) and path.startswith(f"{TREES}/")

    def line(self, path: str) -> int:
        """Return the first changed line of a file."""
        return next(iter(self._changed[path].lines), 1)

    def readers(self) -> Mapping[str, list[str]]:
        """Return the shared folders that clusters name and whose builds read each shared file."""
        folders = sorted(
            {
                folder
                for fleet in self._fleets
                for cluster in fleet.clusters.values()
                for folder in (
                    *_entries([cluster.stack] if cluster.stack else []),
                    *(item.path for item in cluster.objects if not self._is_in_tree(item.path)),
                )
            }
        )
        found: dict[str, list[str]] = {}
        for folder in folders:
            for path in self._files_of(folder):
                found.setdefault(path, []).append(folder)
        return dict(sorted(found.items()))

    def _files_of(self, folder: str) -> frozenset[str]:
        """Return the changed shared files that the build of a folder reads, before or after."""
        if folder not in self._reads:
            files = {
                path
                for fleet in self._fleets
                for path in (_inputs(fleet.repository, folder) if self.shared else ())
            }
            self._reads[folder] = frozenset(files & self.shared)
        return self._reads[folder]

    def of(self, stacks: Sequence[Stack], pair: Pair, moment: str) -> tuple[Source, ...]:
        """Return the changed lines that cause a change of an object in a cluster, the best first.

        `stacks` are the cluster's, before and after; `moment` is merge or up.
        """
        pair = Pair(*(built and (built.release or built) for built in (pair.before, pair.after)))
        key = (id(pair.before and pair.before.manifest), id(pair.after and pair.after.manifest))
        folders = self._folders(stacks, pair)
        is_listed_anew = moment == "up" and folders and self._is_listed_anew(stacks, folders)
        if is_listed_anew:
            return tuple(self._of_list(stacks, folders))
        known = (*key, moment)
        if known not in self._of_objects:
            found = tuple(self._of_folders(folders, pair, stacks))
            self._of_objects[known] = (pair, found)
        found = self._of_objects[known][1]
        if found or not stacks:
            return found or tuple(self._of_applier(pair.any))
        return tuple(self._of_cluster(stacks, moment))

    def _folders(self, stacks: Sequence[Stack], pair: Pair) -> list[str]:
        """Return the shared folders that an object comes from."""
        found: dict[str, None] = {}
        for number, built in enumerate((pair.before, pair.after)):
            if built is None:
                continue
            if not self._is_in_tree(built.path):
                found[built.path] = None
                continue
            wanted = object_id(built.manifest)
            for folder in _entries(stacks):
                if wanted in self._objects(number, folder):
                    found[folder] = None
        return list(found)

    def _objects(self, number: int, folder: str) -> frozenset[ObjectId]:
        key = (number, folder)
        if key not in self._ids:
            entry = self._fleets[number].repository.entries.together((folder,))
            manifests = entry.manifests if entry else ()
            self._ids[key] = frozenset(object_id(manifest) for manifest in manifests)
        return self._ids[key]

    def _is_listed_anew(self, stacks: Sequence[Stack], folders: Iterable[str]) -> bool:
        if len(stacks) == 1:
            return True
        lists = [set(_entries([stack])) for stack in stacks]
        return any((folder in lists[0]) != (folder in lists[-1]) for folder in folders)

    def _of_list(self, stacks: Sequence[Stack], folders: Iterable[str]) -> Iterator[Source]:
        """Yield the line of the stack file that names a folder, or that named it."""
        stack = stacks[-1]
        text = (self._fleets[1].root / stack.file).read_text("utf-8", "replace")
        for folder in folders:
            shared, _, path = folder.partition("/")
            entries = getattr(stack.config, shared, ())
            positions = [number for number, entry in enumerate(entries) if entry.path == path]
            line = None
            if positions:
                key = ("config", f"fleet:{shared}", positions[0])
                line = yaml_lines.line_of(text, key)
            first = self.line(stack.file) if stack.file in self._changed else 1
            yield Source(path=stack.file, line=line or first)
            return

    def _of_folders(
        self, folders: Iterable[str], pair: Pair, stacks: Sequence[Stack]
    ) -> Iterator[Source]:
        files = sorted({path for folder in folders for path in self._files_of(folder)})
        files += self._of_charts(pair)
        if not files and (not stacks or stacks[-1].is_rendered):
            # What another object of a rendered tree applies, or a cluster without a stack, is known
            # by its name alone.
            files = [path for path in sorted(self.shared) if self._has(path, pair)]
        with_object = [path for path in files if self._has(path, pair)]
        # A file that is gone has no line that a reader could look at.
        ordered = sorted(with_object or files, key=lambda path: self._changed[path].is_removed)
        for path in ordered:
            yield Source(path=path, line=self._line_in(path, pair))

    def _of_charts(self, pair: Pair) -> list[str]:
        """Return the changed files of the chart of a HelmRelease, if it is in this repository."""
        found = (built for built in (pair.before, pair.after) if built and built.is_helm_release)
        charts = [mapping_at(built.spec, "chart", "spec") for built in found]
        folders = tuple(
            f"{os.path.normpath(str(chart.get('chart')))}/"
            for chart in charts
            if mapping_at(chart, "sourceRef").get("kind") == "GitRepository"
        )
        return sorted(path for path in self.shared if path.startswith(folders))

    def _of_cluster(self, stacks: Sequence[Stack], moment: str) -> Iterator[Source]:
        stack = stacks[-1]
        in_tree = [path for path in sorted(self._changed) if path.startswith(f"{stack.path}/")]
        own = [path for path in (stack.file, PROJECT_FILE) if path in self._changed]
        for path in in_tree if moment == "merge" else own or in_tree:
            yield Source(path=path, line=self.line(path))

    def _of_applier(self, built: BuiltObject) -> Iterator[Source]:
        """Yield the changed lines of the Flux Kustomization that applies an object."""
        namespace, _, name = built.applied_by.partition("/")
        metadata = {"namespace": namespace, "name": name}
        manifest = {"apiVersion": f"{flux_paths.GROUP}/v1", "kind": "Kustomization"}
        applier = BuiltObject(path=built.path, manifest={**manifest, "metadata": metadata})
        pair = Pair(applier, applier)
        for path in sorted(self.shared):
            if self._has(path, pair):
                yield Source(path=path, line=self._line_in(path, pair))

    def _line_in(self, path: str, pair: Pair) -> int:
        """Return the first changed line in the document of an object, or else in the file."""
        file = self._file(1, path)
        position = file.position(pair)
        if position is None or position >= len(file.lines):
            return self.line(path)
        start, end = [*file.lines, sys.maxsize][position : position + 2]
        lines = self._changed[path].lines
        return next((line for line in lines if start <= line < end), self.line(path))

    def _has(self, path: str, pair: Pair) -> bool:
        return any(self._file(number, path).position(pair) is not None for number in (1, 0))

    def _file(self, number: int, path: str) -> _File:
        key = (number, path)
        if key not in self._files:
            self._files[key] = _File(self._fleets[number].root / path)
        return self._files[key]


class _File:
    """The objects in a file, and the lines on which they begin."""

    def __init__(self, path: Path) -> None:
        text = _text(path) if path.name.endswith((".yaml", ".yml")) else ""
        self.lines = yaml_lines.document_lines(text)
        try:
            documents = yaml_reader.documents(text)
        except ValueError:
            documents = []
        self._positions: dict[tuple[str, str], dict[str, int]] = {}
        for position, item in enumerate(documents):
            found = object_id(item if isinstance(item, dict) else {})
            names = self._positions.setdefault((found.group, found.kind), {})
            names.setdefault(found.name, position)

    def position(self, pair: Pair) -> int | None:
        """Return the number of the document that has an object, None if there is none.

        kustomize may have added to its name.
        """
        built = pair.any
        names = self._positions.get((built.group, built.kind), {})
        if built.name in names:
            return names[built.name]
        return next((number for name, number in names.items() if name and name in built.name), None)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        # The file is new, or it is gone.
        return ""


def _entries(stacks: Iterable[Stack]) -> list[str]:
    """Return the folders of all entries of stacks, in order."""
    return list(
        dict.fromkeys(
            entry_lists.source_of(folder, entry)
            for stack in stacks
            for pairs in stages.entries_by_stage(stack).values()
            for folder, entry in pairs
        )
    )


def _inputs(repository: Repository, folder: str) -> Iterator[str]:
    found = repository.entries.folder(folder)
    if not found.folder.is_dir() or flux_build.reference_problems(found, {}):
        return
    try:
        yield from flux_build.inputs(found).files
    except CommandError:
        # The model names the problem of a folder that does not build.
        return
