"""The folders of the repository that Flux's ArtifactGenerators copy into artifacts of their own.

A folder of such an artifact is the folder of the repository that it was copied from, if all files
that its build reads are copied and have the same places relative to it.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import CommandError
from fleet.kube import flux_build
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest
from fleet.render import flux_paths
from fleet.render.flux_paths import SourceName

_ARTIFACT = "@artifact/"
_ALL = "**"


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """A folder or a file that is copied: its path in the repository and in the artifact."""

    source: str
    target: str
    excluded: Sequence[str] = ()

    def target_of(self, file: str) -> str | None:
        """Return the path in the artifact of a file of the repository, None if it has none."""
        rest = _rest(file, self.source)
        if rest is None or any(_fits(pattern, file, rest) for pattern in self.excluded):
            return None
        return posixpath.normpath(f"{self.target}/{rest}")

    def source_of(self, path: str) -> str | None:
        """Return the path in the repository of a path in the artifact, None if it has none."""
        rest = _rest(path, self.target)
        return None if rest is None else posixpath.normpath(f"{self.source}/{rest}")


@dataclass(frozen=True, kw_only=True)
class ArtifactGenerators:
    """The generators of a cluster; `base` is the folder that is the root of its own sources."""

    copy: Path
    base: str
    is_own: Callable[[SourceName], bool]

    def folder(
        self, artifact: SourceName, path: str, sources: Mapping[SourceName, Manifest]
    ) -> str | None:
        """Return the folder of the repository that a path in an artifact is a copy of.

        It is None for an artifact that has other files, or that nothing here makes.
        """
        copies = self._copies(artifact, sources) or []
        wanted = flux_paths.resolved_path(path)
        pairs = [(source, wanted) for copy in copies if (source := copy.source_of(wanted))]
        below = [copy for copy in copies if _rest(copy.target, wanted) not in (None, ".")]
        if not pairs and len(below) == 1:
            # Flux lists the only thing in a folder that has no kustomization.
            pairs = [(below[0].source, below[0].target)]
        return next((pair[0] for pair in pairs if self._is_same(*pair, copies)), None)

    def _copies(
        self, artifact: SourceName, sources: Mapping[SourceName, Manifest]
    ) -> list[_Copy] | None:
        """Return what an artifact is made of, None if that is not known."""
        for name, manifest in sources.items():
            spec = mapping_at(manifest, "spec")
            if (name.kind, name.namespace) != ("ArtifactGenerator", artifact.namespace):
                continue
            for item in mappings_in(spec.get("artifacts")):
                if item.get("name") == artifact.name:
                    own = {*self._own_aliases(name, mappings_in(spec.get("sources")))}
                    found = [self._copy(copy, own) for copy in mappings_in(item.get("copy"))]
                    known = [copy for copy in found if copy is not None]
                    return known if len(known) == len(found) else None
        return None

    def _own_aliases(self, generator: SourceName, sources: Iterable[Fields]) -> Iterator[str]:
        for source in sources:
            namespace = str(source.get("namespace") or generator.namespace)
            name = SourceName(str(source.get("kind")), namespace, str(source.get("name")))
            if self.is_own(name):
                yield str(source.get("alias"))

    def _copy(self, fields: Fields, own: set[str]) -> _Copy | None:
        alias, _, pattern = str(fields.get("from")).removeprefix("@").partition("/")
        target = str(fields.get("to"))
        is_plain = fields.get("strategy") in (None, "Overwrite") and target.startswith(_ARTIFACT)
        source = pattern.removesuffix(_ALL)
        if alias not in own or not is_plain or any(sign in source for sign in "*?[{"):
            return None
        target = target.removeprefix(_ARTIFACT)
        path = posixpath.normpath(f"{self.base or '.'}/{source or '.'}")
        is_folder = (self.copy / path).is_dir()
        # Like cp, a folder goes into the target, and a file into one that ends with a slash.
        if not pattern.endswith(_ALL) and (is_folder or not target or target.endswith("/")):
            target = f"{target}/{posixpath.basename(path)}".lstrip("/")
        excluded = [str(item) for item in fields.get("exclude") or ()]
        return _Copy(source=path, target=posixpath.normpath(target or "."), excluded=excluded)

    def _is_same(self, source: str, target: str, copies: Sequence[_Copy]) -> bool:
        """Tell whether the artifact has all that the build of a folder reads, at equal places."""
        folder = ArtifactFolder(repository=self.copy, copy=self.copy, path=source, file=source)
        if not folder.folder.is_dir():
            return False
        try:
            files = flux_build.inputs(folder).files
        except (CommandError, OSError):
            return False
        return all(
            _target(file, copies)
            == posixpath.normpath(f"{target}/{posixpath.relpath(file, source)}")
            for file in files
        )


def _target(file: str, copies: Sequence[_Copy]) -> str | None:
    """Return the path of a file in the artifact; a later copy is over an earlier one."""
    found = [path for copy in copies if (path := copy.target_of(file)) is not None]
    return found[-1] if found else None


def _rest(path: str, folder: str) -> str | None:
    """Return a path relative to a folder, None if it is outside."""
    if folder == ".":
        return path
    if path == folder:
        return "."
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


def _fits(pattern: str, file: str, rest: str) -> bool:
    names = (file, rest, posixpath.basename(file) if "/" not in pattern else rest)
    # `**/` stands for no folder, too.
    patterns = (pattern, pattern.removeprefix(f"{_ALL}/"))
    return any(fnmatch.fnmatchcase(name, item) for name in names for item in patterns)
