"""The entrypoints of a Flux repository that fleet did not make: one for each cluster.

They are found in its files: a Kustomization that applies the folder that it is in, an instance of
the Flux Operator, or else the folders that no other Kustomization brings.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from fleet.config import git_urls
from fleet.errors import CommandError
from fleet.kube import references, yaml_reader
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization_file
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux, flux_paths
from fleet.render.definition_build import TREES
from fleet.render.flux_paths import SourceName

# The kinds of sources that may stand for the repository; a controller makes the others from these.
SOURCE_KINDS = ("GitRepository", "OCIRepository", "Bucket")
FLUX_OPERATOR = "fluxcd.controlplane.io"
# A file needs one of these to have something that leads to a cluster. It is looked for in the text,
# since most files of a repository have nothing of the kind, and reading YAML takes long.
_WORDS = re.compile(
    rb"^kind: *[\"']?(Kustomization|FluxInstance|HelmRelease)\b|^instance:", re.MULTILINE
)
_ENVIRONMENTS = (
    "dev", "development", "test", "testing", "qa", "uat", "stage", "staging", "preprod", "prod",
    "production", "sandbox", "lab",
)  # fmt: skip
# Flux bootstrap and the Flux Operator both make a Kustomization that prunes.
ASSUMED_SPEC: Fields = {"prune": True}


@dataclass(frozen=True, kw_only=True)
class Entrypoint:
    """The folder that the Flux of one cluster applies first, and what says so.

    `base` is the folder of the repository that is the root of Flux's source, empty if that is the
    repository itself. `namespace` and `name` are those of the Kustomization that applies the
    folder, `spec` is its spec, and `content` is what its source fetches, if that is known. Without
    a `declared` object, all this is assumed. An instance of the Flux Operator has `patches` for all
    that it makes.
    """

    path: str
    base: str = ""
    namespace: str = FLUX_NAMESPACE
    name: str = flux.SYNC_NAME
    spec: Fields = field(default_factory=lambda: ASSUMED_SPEC)
    source: SourceName | None = None
    content: str = ""
    patches: Sequence[Fields] = ()
    file: str = ""
    declared: ObjectId | None = None

    @property
    def cluster(self) -> str:
        """The name of the cluster: the path without all up to `clusters/`."""
        parts = PurePosixPath(self.path).parts
        last = max((number for number, part in enumerate(parts) if part == TREES), default=-1)
        return "/".join(parts[last + 1 :]) or self.path

    @property
    def environment(self) -> str:
        """The usual name of an environment that the path has, else the name of the cluster."""
        words = re.split(r"[^a-z0-9]+", self.path.lower())
        return next((word for word in words if word in _ENVIRONMENTS), self.cluster)


@dataclass(frozen=True, kw_only=True)
class _Document:
    """A document of a file that may lead to a cluster."""

    file: str
    manifest: Manifest

    @property
    def spec(self) -> Fields:
        return mapping_at(self.manifest, "spec")

    def is_below(self, folder: str) -> bool:
        return is_below(self.file, folder)


def find(copy: Path) -> list[Entrypoint]:
    """Return the entrypoints of the repository whose files are in `copy`, sorted by path."""
    search = _Search(copy=copy, documents=[*_documents(copy)])
    found: dict[str, Entrypoint] = {}
    for entrypoint in [*search.syncs(), *search.instances()]:
        found.setdefault(entrypoint.path, entrypoint)
    for folder in search.other_folders(sorted(found)):
        if not any(is_below(folder, path) for path in found):
            found[folder] = Entrypoint(path=folder, base=search.base_of(folder))
    return [found[path] for path in sorted(found)]


def by_name(entrypoints: Sequence[Entrypoint]) -> dict[str, Entrypoint]:
    """Return entrypoints by the names of their clusters; paths are names if others are equal."""
    names = [entrypoint.cluster for entrypoint in entrypoints]
    return {
        entrypoint.path if names.count(name) > 1 else name: entrypoint
        for name, entrypoint in zip(names, entrypoints, strict=True)
    }


def content_of(url: object, revision: str) -> str:
    """Return a text that is equal for all sources of one repository and revision, empty if none."""
    return f"{git_urls.same_repository(str(url))} {revision}" if url else ""


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path is a folder or is below it."""
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def _documents(copy: Path) -> Iterator[_Document]:
    for file in sorted(copy.rglob("*.y*ml")):
        name = file.relative_to(copy).as_posix()
        if file.suffix not in (".yaml", ".yml") or _is_hidden(name) or not file.is_file():
            continue
        text = file.read_bytes()
        if not _WORDS.search(text):
            continue
        try:
            found = yaml_reader.documents(text)
        except ValueError:
            # A template is no manifest. What is one and is broken, the build says.
            continue
        yield from (_Document(file=name, manifest=item) for item in found if isinstance(item, dict))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


@dataclass(frozen=True, kw_only=True)
class _Search:
    copy: Path
    documents: Sequence[_Document]

    @cached_property
    def _kustomizations(self) -> list[tuple[_Document, str | None]]:
        """Return the Flux Kustomizations, each with the folder that it may apply, if any.

        One without a source is only a patch.
        """
        return [
            (document, self._applied(document))
            for document in self.documents
            if flux_paths.is_flux_kustomization(document.manifest)
            and mapping_at(document.spec, "sourceRef").get("kind")
        ]

    def _applied(self, document: _Document) -> str | None:
        """Return the folder of the repository that a Flux Kustomization applies, None if unknown.

        Its source may be another repository, in which only the usual name tells a sync.
        """
        source = flux_paths.source_name(document.manifest, mapping_at(document.spec, "sourceRef"))
        is_usual = source[1:] == (FLUX_NAMESPACE, flux.SYNC_NAME)
        path = document.spec.get("path") or "."
        if not isinstance(path, str) or source.kind not in SOURCE_KINDS:
            return None
        if is_usual and source.kind != "GitRepository":
            return self._folder(document.file, path)
        wanted = flux_paths.resolved_path(path)
        return wanted if self._is_folder(wanted) and (is_usual or wanted != ".") else None

    def _folder(self, file: str, path: object) -> str | None:
        """Return the folder of the repository that a path in a file means, None if there is none.

        An artifact may have been made of a folder of the repository. Its root is above the file.
        """
        wanted = flux_paths.resolved_path(str(path))
        above = [str(parent) for parent in reversed(PurePosixPath(file).parents)]
        candidates = (posixpath.normpath(f"{base}/{wanted}") for base in above)
        return next((found for found in candidates if self._is_folder(found)), None)

    def _is_folder(self, path: str) -> bool:
        return os.path.isdir(self.copy / path)  # noqa: PTH112 - accepts any name

    def syncs(self) -> Iterator[Entrypoint]:
        """Yield the folders with a Kustomization that applies this very folder."""
        for document, folder in self._kustomizations:
            if (
                folder is None
                or not document.is_below(folder)
                or self._is_brought(document, folder)
            ):
                continue
            found = object_id(document.manifest)
            reference = mapping_at(document.spec, "sourceRef")
            yield Entrypoint(
                path=folder,
                base=_base(folder, document.spec.get("path")),
                namespace=found.namespace or FLUX_NAMESPACE,
                name=found.name,
                spec=document.spec,
                source=flux_paths.source_name(document.manifest, reference),
                file=document.file,
                declared=found,
            )

    def _is_brought(self, document: _Document, folder: str) -> bool:
        """Tell whether a Kustomization outside a folder applies a document in it."""
        return any(
            target is not None and document.is_below(target) and not other.is_below(folder)
            for other, target in self._kustomizations
        )

    def instances(self) -> Iterator[Entrypoint]:
        """Yield the folders that instances of the Flux Operator make a cluster apply."""
        for document in self.documents:
            instance = _instance_of(document.manifest)
            sync = mapping_at(instance, "sync")
            folder = self._folder(document.file, sync.get("path")) if sync.get("path") else None
            if folder is None:
                continue
            found = object_id(document.manifest)
            namespace = found.namespace or FLUX_NAMESPACE
            name = str(sync.get("name") or namespace)
            yield Entrypoint(
                path=folder,
                base=_base(folder, sync.get("path")),
                namespace=namespace,
                name=name,
                source=SourceName(str(sync.get("kind") or "GitRepository"), namespace, name),
                content=content_of(sync.get("url"), str(sync.get("ref") or "")),
                patches=mappings_in(mapping_at(instance, "kustomize").get("patches")),
                file=document.file,
                declared=found,
            )

    def other_folders(self, known: Sequence[str]) -> list[str]:
        """Return the highest folders whose Kustomizations nothing known brings.

        Where some entrypoints are known, only folders below `clusters/` are more of them.
        """
        reached = self._reached(known)
        files = {
            document.file
            for document, _ in self._kustomizations
            if not any(document.is_below(folder) for folder in reached)
            and (not known or TREES in PurePosixPath(document.file).parts[:-1])
        }
        folders = {self._entry_folder(top) for file in files for top in self._tops(file)}
        outside = {folder for folder in folders if not self._is_applied(folder)} or folders
        return sorted(
            folder
            for folder in outside
            if not any(folder != other and is_below(folder, other) for other in outside)
        )

    def _reached(self, known: Iterable[str]) -> set[str]:
        """Return all folders that Kustomizations in known folders apply, and those in them."""
        reached, todo = set[str](), set(known)
        while todo:
            reached |= todo
            targets = {
                target
                for document, target in self._kustomizations
                if target is not None and any(document.is_below(folder) for folder in todo)
            }
            todo = targets - reached
        return reached

    def _is_applied(self, folder: str) -> bool:
        """Tell whether a Kustomization of another folder applies what is in a folder."""
        return any(
            target is not None and is_below(folder, target) and not document.is_below(folder)
            for document, target in self._kustomizations
        )

    def _tops(self, file: str) -> set[str]:
        """Return the folders at the end of all chains of kustomizations that list a file."""
        tops, seen, todo = set[str](), set[str](), [file]
        while todo:
            name = todo.pop()
            above = self._listing.get(name, set())
            if not above:
                tops.add(posixpath.dirname(name) or "." if name == file else name)
            todo += above - seen
            seen |= above
        return tops

    @cached_property
    def _listing(self) -> Mapping[str, set[str]]:
        """Return the folders whose kustomizations list each file and folder."""
        found: dict[str, set[str]] = {}
        files = (file for name in KUSTOMIZATION_FILES for file in sorted(self.copy.rglob(name)))
        for folder in dict.fromkeys(file.parent for file in files if file.is_file()):
            name = folder.relative_to(self.copy).as_posix()
            try:
                targets = references.targets(folder)
            except CommandError:
                continue
            for target in targets:
                if target != folder and target.is_relative_to(self.copy):
                    found.setdefault(target.relative_to(self.copy).as_posix(), set()).add(name)
        return found

    def _entry_folder(self, folder: str) -> str:
        """Return the folder of a cluster that a folder with Kustomizations belongs to.

        `flux bootstrap` makes a folder flux-system in it.
        """
        parts = PurePosixPath(folder).parts
        if TREES in parts:
            start = parts.index(TREES) + 2
            for end in range(start, len(parts)):
                above = self.copy.joinpath(*parts[:end])
                if kustomization_file(above) or (above / flux.SYNC_NAME).is_dir():
                    return "/".join(parts[:end])
        elif (self.copy / folder).parent.joinpath(flux.SYNC_NAME).is_dir() and len(parts) > 1:
            return "/".join(parts[:-1])
        return folder

    def base_of(self, folder: str) -> str:
        """Return the folder that the paths of the Kustomizations in a folder begin at."""
        for document, target in self._kustomizations:
            if target is not None and document.is_below(folder):
                return _base(target, document.spec.get("path"))
        return ""


def _base(folder: str, path: object) -> str:
    """Return the folder below which a path is the given folder, empty for the repository."""
    wanted = flux_paths.resolved_path(str(path or "."))
    if wanted == ".":
        return "" if folder == "." else folder
    return folder.removesuffix(wanted).strip("/")


def _instance_of(manifest: Manifest) -> Fields:
    """Return the spec of an instance of the Flux Operator in a document, empty if there is none.

    It may be the instance, a HelmRelease of its chart, or a file with values for the chart.
    """
    found = object_id(manifest)
    if (found.group, found.kind) == (FLUX_OPERATOR, "FluxInstance"):
        return mapping_at(manifest, "spec")
    if found.kind == "HelmRelease":
        return mapping_at(manifest, "spec", "values", "instance")
    return {} if found.kind else mapping_at(manifest, "instance")
