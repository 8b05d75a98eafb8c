"""The shared folders that the lists of all clusters name, each built once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import posixpath
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path

from fleet.errors import CommandError
from fleet.inventory import independence, variables
from fleet.inventory.independence import Entry
from fleet.inventory.manifest_list import ManifestList
from fleet.kube import builds, flux_build, references
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.builds import Inputs
from fleet.kube.fields import Fields
from fleet.kube.flux_build import CHANGING_FIELDS
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization_file
from fleet.kube.manifest import Manifest, ObjectId
from fleet.kube.once import id_of
from fleet.kube.references import ReferenceProblem
from fleet.kube.yaml_writer import to_yaml
from fleet.render import flux_paths
from fleet.render.definition_build import OF_ONE_CLUSTER, TREES

# A program on each processor, and one more that reads or writes files in the meantime.
_WORKERS = (os.cpu_count() or 1) + 1
# The folder of a list that is the same in many trees.
_ANY_LIST = f"{TREES}/any/list"
_ONE_FILE = "objects.yaml"


class ReferencesError(Exception):
    """References that a build must not follow."""

    def __init__(self, problems: Sequence[ReferenceProblem]) -> None:
        """Keep the problem of each reference."""
        super().__init__()
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The builds of shared folders, and of the files of trees that are equal but for their header.

    `copy` has the files that Flux fetches from the checkout `root`, without those whose paths
    `left_out` matches.
    """

    root: Path
    copy: Path
    left_out: re.Pattern[str] | None = OF_ONE_CLUSTER
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_WORKERS))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _entries: dict[object, Future[Entry | None]] = field(default_factory=dict)
    _together: dict[tuple[str, ...], Entry | None] = field(default_factory=dict)
    _applied: dict[str, Future[ManifestList]] = field(default_factory=dict)
    _specs: dict[str, tuple[str, Fields]] = field(default_factory=dict)

    def without_threads(self) -> Entries:
        """Return the same builds when all that were started have ended, and their threads too.

        A process that is forked has no threads, and would wait for them for ever.
        """
        self._pool.shutdown()
        return dataclasses.replace(self, _pool=ThreadPoolExecutor(_WORKERS), _lock=threading.Lock())

    def folder(self, path: str) -> ArtifactFolder:
        """Return a folder of the copy."""
        return ArtifactFolder(
            repository=self.root, copy=self.copy, path=path, file=path, left_out=self.left_out
        )

    def together(self, paths: tuple[str, ...]) -> Entry | None:
        """Return what a list of folders builds, None if it does not build."""
        if paths not in self._together:
            found = put_together([future.result() for future in self._start_each(paths)])
            self._together[paths] = _as_one(found) if found else self._start_whole(paths).result()
        return self._together[paths]

    def start_list(self, paths: tuple[str, ...]) -> None:
        """Start to build the folders of a list, and the list whole if it needs that."""

        def start_whole(done: Future[Entry | None]) -> None:
            if done.exception() is None and done.result() is None:
                # The pool takes no more when the program ends.
                with contextlib.suppress(RuntimeError):
                    self._start_whole(paths)

        for future in self._start_each(paths):
            future.add_done_callback(start_whole)

    def _start_each(self, paths: Iterable[str]) -> list[Future[Entry | None]]:
        return [self._started(path, lambda path=path: self._entry(path)) for path in paths]  # type: ignore[misc]

    def _start_whole(self, paths: tuple[str, ...]) -> Future[Entry | None]:
        return self._started(paths, lambda: self._whole(paths))

    def applied(self, path: str, spec: Fields) -> ManifestList:
        """Return what Flux builds from a shared folder for a Kustomization with `spec`.

        Raises CommandError and ReferencesError.
        """
        return self.start(path, spec).result()

    def start(self, path: str, spec: Fields) -> Future[ManifestList]:
        """Start to build the same, if nothing has started it."""
        fields = {name: spec[name] for name in CHANGING_FIELDS if name in spec}
        key = json.dumps([path, fields], default=str)
        with self._lock:
            if key not in self._applied:
                self._specs[key] = (path, spec)
                self._applied[key] = self._pool.submit(self.build, path, spec)
            return self._applied[key]

    def have_same_names_in(self, former: Entries) -> bool:
        """Tell whether everything that was built here has the same objects in a former state.

        Their fields may differ, except in a Kustomization of Flux, which brings further objects.
        """
        for paths, entry in self._together.items():
            was = former.together(paths)
            if not entry or not was or not _have_same_names(entry.manifests, was.manifests):
                return False
        try:
            return all(
                _have_same_names(self._applied[key].result(), former.applied(path, spec))
                for key, (path, spec) in self._specs.items()
            )
        except (CommandError, ReferencesError):
            return False

    def build(self, path: str, spec: Fields) -> ManifestList:
        """Do the same for any folder, each time. Raises CommandError and ReferencesError."""
        folder = self.folder(path)
        if problems := flux_build.reference_problems(folder, spec):
            raise ReferencesError(problems)
        return ManifestList(flux_build.build(folder, spec).manifests)

    def patched(self, text: str, patches: Sequence[Fields]) -> Entry | None:
        """Return what kustomize builds from a file and patches, None if it fails."""
        return self.start_patched(text, patches).result()

    def start_patched(self, text: str, patches: Sequence[Fields]) -> Future[Entry | None]:
        """Start to build the same, if nothing has started it."""
        return self._started((text, json.dumps(patches)), lambda: _patched(text, patches))

    def _started(self, key: object, build: Callable[[], Entry | None]) -> Future[Entry | None]:
        with self._lock:
            if key not in self._entries:
                self._entries[key] = self._pool.submit(build)
            return self._entries[key]

    def _entry(self, path: str) -> Entry | None:
        folder = self.folder(path)
        if not self._is_buildable(folder):
            return None
        contents = references.kustomizations(folder)
        if not independence.is_separate(contents):
            return None
        try:
            return independence.entry(contents, flux_build.base(folder).manifests)
        except CommandError:
            return None

    def _whole(self, paths: tuple[str, ...]) -> Entry | None:
        """Return what kustomize builds from a list of folders, wherever the list is."""
        folders = [self.folder(path) for path in paths]
        if not all(self._is_buildable(folder) for folder in folders):
            return None
        parts = [flux_build.inputs(folder) for folder in folders]
        listed = [posixpath.relpath(path, _ANY_LIST) for path in paths]
        files = {name: text for part in parts for name, text in part.files.items()}
        files[f"{_ANY_LIST}/{KUSTOMIZATION_FILES[0]}"] = to_yaml({"resources": listed}).encode()
        inputs = Inputs(
            path=_ANY_LIST,
            files=files,
            folders=frozenset(name for part in parts for name in part.folders),
        )
        found = _built(inputs)
        return found and dataclasses.replace(found, is_whole=True)

    def _is_buildable(self, folder: ArtifactFolder) -> bool:
        """Tell whether a folder has a kustomization, and no reference that leads elsewhere."""
        has_kustomization = folder.folder.is_dir() and kustomization_file(folder.folder) is not None
        return has_kustomization and not flux_build.reference_problems(folder, {})


def put_together(entries: Sequence[Entry | None]) -> Entry | None:
    """Return several entries as one, None if they can only be built whole."""
    found = [entry for entry in entries if entry is not None]
    if len(found) < len(entries) or not independence.are_independent(found):
        return None
    lists: list[Sequence[Manifest]] = []
    # Few lists are quicker to ask than many short ones.
    all_lists = chain.from_iterable(entry.lists for entry in found)
    for is_shared, group in groupby(all_lists, lambda item: isinstance(item, ManifestList)):
        those = list(group)
        lists += those if is_shared else [[*chain.from_iterable(those)]]
    renamed = frozenset(name for entry in found for name in entry.renamed)
    return Entry(lists=lists, renamed=renamed)


def _as_one(entry: Entry) -> Entry:
    return dataclasses.replace(entry, lists=(ManifestList(entry.manifests),))


def _have_same_names(manifests: Sequence[Manifest], former: Sequence[Manifest]) -> bool:
    now, was = ([_fixed_part(item) for item in found] for found in (manifests, former))
    return now == was and None not in now


def _fixed_part(manifest: Manifest) -> tuple[ObjectId, Manifest | None] | None:
    """Return what decides where Flux applies an object, None if variables may decide it."""
    identity = id_of(manifest)
    is_applier = flux_paths.is_flux_kustomization(manifest)
    if any("$" in part for part in identity) or (is_applier and variables.are_in(manifest)):
        return None
    return identity, manifest if is_applier else None


def _patched(text: str, patches: Sequence[Fields]) -> Entry | None:
    listing = {"resources": [f"./{_ONE_FILE}"], "patches": list(patches)}
    files = {KUSTOMIZATION_FILES[0]: to_yaml(listing), _ONE_FILE: text}
    contents = {f"{_ANY_LIST}/{name}": content.encode() for name, content in files.items()}
    return _built(Inputs(path=_ANY_LIST, files=contents, folders=frozenset()))


def _built(inputs: Inputs) -> Entry | None:
    try:
        return Entry(lists=(ManifestList(builds.build(inputs).manifests),))
    except CommandError:
        return None
