"""The sources of a cluster that are the repository itself, and the folders that Flux takes of them.

It is for clusters of repositories that fleet did not make. What comes from anywhere else cannot be
known from these files.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet.inventory.artifact_generators import ArtifactGenerators
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.entrypoints import SOURCE_KINDS, SOURCES, Entrypoint, content_of
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux, flux_paths
from fleet.render.flux_paths import SourceName

# What is known in a cluster: sources, and the generators of artifacts.
Sources = Mapping[SourceName, Manifest]
ELSEWHERE = "is applied to another cluster, which spec.kubeConfig names"
_USUAL = (FLUX_NAMESPACE, flux.SYNC_NAME)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folder of the repository that a Flux Kustomization applies, or why it is not known."""

    path: str = ""
    reason: str = ""


@dataclass(kw_only=True)
class OwnSources:
    """The sources that are the repository itself, as far as the files say so.

    An entrypoint may name one. Others with its URL and revision are the same, and without a name
    the usual one is. Where nothing is named, the first one that has the right folder is taken.
    """

    copy: Path
    entrypoint: Entrypoint
    # The sources that files have. One of them may be in the cluster though nothing applies it.
    declared: Sources = field(default_factory=dict)
    _contents: set[str] = field(default_factory=set)
    _taken: set[SourceName] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take the source that the entrypoint names."""
        if self.entrypoint.source is not None:
            self._taken.add(self.entrypoint.source)
        self._contents |= {self.entrypoint.content} - {""}

    @property
    def names(self) -> frozenset[SourceName]:
        """The sources that are known to be the repository itself."""
        return frozenset(self._taken)

    def place(self, built: BuiltObject, others: Sources) -> Place:
        """Return the place of what a Flux Kustomization applies.

        `others` are the sources, and what makes sources, that are known in the cluster.
        """
        if built.spec.get("kubeConfig"):
            return Place(reason=ELSEWHERE)
        reference = mapping_at(built.spec, "sourceRef")
        source = flux_paths.source_name(built.manifest, reference)
        path = built.spec.get("path") or "."
        if not isinstance(path, str) or built.is_unknown(path) or built.is_unknown(source.name):
            return Place(reason="has a path or a source that only the cluster knows")
        if source.kind == "ExternalArtifact":
            return self._in_artifact(source, path, others)
        if self._is_own(source, path, others):
            return Place(path=self._folder(path))
        content = _content(others.get(source))
        what = f"{source} ({content})" if content else str(source)
        return Place(reason=f"applies {path} of {what}, which is not known to be this repository")

    def _is_own(self, source: SourceName, path: str, others: Sources) -> bool:
        if source.kind not in SOURCE_KINDS:
            return False
        self._contents |= {_content(others.get(name)) for name in self._taken} - {""}
        content = _content(others.get(source, self.declared.get(source)))
        if source in self._taken or content in self._contents:
            return True
        is_usual = source[1:] == _USUAL
        if (content and self._contents) or (self.entrypoint.source is not None and not is_usual):
            return False
        if is_usual or (not self._taken and self._has(path)):
            self._taken.add(source)
            return True
        return False

    def _has(self, path: str) -> bool:
        """Tell whether the repository has a path; every one has its root."""
        folder = self._folder(path)
        return folder != "." and os.path.isdir(self.copy / folder)  # noqa: PTH112 - accepts any name

    def _folder(self, path: str) -> str:
        resolved = flux_paths.resolved_path(path)
        return posixpath.normpath(f"{self.entrypoint.base or '.'}/{resolved}")

    def _in_artifact(self, source: SourceName, path: str, others: Sources) -> Place:
        generators = ArtifactGenerators(
            copy=self.copy,
            base=self.entrypoint.base,
            is_own=lambda name: self._is_own(name, ".", others),
        )
        folder = generators.folder(source, path, others)
        if folder is not None:
            return Place(path=folder)
        return Place(reason=f"applies {path} of {source}, whose files are not known here")


def known(objects: Iterable[BuiltObject]) -> Sources:
    """Return the sources among the objects of a cluster, and the generators of artifacts."""
    found: dict[SourceName, Manifest] = {}
    for built in objects:
        if built.group == SOURCES or built.kind == "ArtifactGenerator":
            key = object_id(built.manifest)
            found[SourceName(key.kind, key.namespace, key.name)] = built.manifest
    return found


def _content(manifest: Manifest | None) -> str:
    """Return what a source fetches: a URL without its user, and a revision; empty if unknown."""
    spec = mapping_at(manifest, "spec")
    if spec.get("bucketName"):
        return f"{spec.get('endpoint')} {spec.get('bucketName')}"
    key, value = next(iter(mapping_at(spec, "ref").items()), ("branch", "master"))
    revision = f"refs/heads/{value}" if key == "branch" else str(value)
    return content_of(spec.get("url"), revision)
