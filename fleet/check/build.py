"""The build of one cluster: all objects that its Flux would apply from this repository."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.check import variables
from fleet.check.built_object import Build, BuiltObject
from fleet.check.findings import Finding
from fleet.check.variables import VariableUse
from fleet.config.models import Stack
from fleet.errors import CommandError, ConfigError
from fleet.kube import artifact, flux_build, substitution
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.substitution import Values
from fleet.render import flux, flux_paths, layout, rendered_cluster, tree
from fleet.render.definition_build import TREES, Definitions

# A Kustomization that builds itself with other variables each time would never end.
_MAX_DEPTH = 10
# These fields of a Flux Kustomization decide what it builds from a path.
_BUILD_FIELDS = (
    "targetNamespace", "namePrefix", "nameSuffix", "patches", "images", "components",
    "ignoreMissingComponents", "buildMetadata", "postBuild", "decryption",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A checkout, a copy of the files that Flux fetches from it, and its definitions."""

    root: Path
    copy: Path
    definitions: Definitions


def pack(root: Path, copy: Path) -> Repository:
    """Copy the files of a checkout that Flux fetches for every cluster to the new folder `copy`."""
    artifact.pack(root, copy, left_out=TREES)
    definitions = Definitions(root=root, copy=copy.with_name(f"{copy.name}-definitions"))
    return Repository(root=root, copy=copy.resolve(), definitions=definitions)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A path that a Flux Kustomization applies, its spec and its name."""

    path: str
    spec: Fields
    namespace: str = FLUX_NAMESPACE
    name: str = flux.SYNC_NAME

    @property
    def key(self) -> str:
        """A text that is equal for steps that build the same objects."""
        fields = {name: self.spec[name] for name in _BUILD_FIELDS if name in self.spec}
        return json.dumps([self.path, self.namespace, fields], default=str)


@dataclass(kw_only=True)
class ClusterBuild:
    """The build of one cluster. It is complete if each of its paths builds.

    `tree` is the cluster's tree, empty if its definitions cannot be rendered.
    """

    repository: Repository
    tree: Mapping[str, str] = field(default_factory=dict)
    objects: list[BuiltObject] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    # The variables of each object.
    uses: list[VariableUse] = field(default_factory=list)
    is_complete: bool = True

    def run(self, step: _Step) -> None:
        """Build a path and, level by level, all paths that the built Kustomizations apply."""
        todo, seen = [step], {step.key}
        for _ in range(_MAX_DEPTH):
            built_now = self._build_all(todo)
            steps = [found for built in built_now if (found := self._next_step(built))]
            todo = list({step.key: step for step in steps if step.key not in seen}.values())
            seen.update(step.key for step in todo)
        for step in todo:
            problem = f"is below {_MAX_DEPTH} other paths of Flux; apply it from a path above"
            self.findings.append(Finding(file=step.path, object="", problem=problem))

    def _build_all(self, steps: Iterable[_Step]) -> list[BuiltObject]:
        """Build paths, those at the same time that leave the copy as it is."""
        alone: list[_Step] = []
        together: list[_Step] = []
        for step in steps:
            (alone if self._changes_files(step) else together).append(step)
        with ThreadPoolExecutor(max_workers=4) as pool:
            builds = [*pool.map(self._build, together), *map(self._build, alone)]
        objects = [built for build in builds for built in build.objects]
        self.objects.extend(objects)
        self.findings.extend(found for build in builds for found in build.findings)
        self.is_complete &= not any(build.findings for build in builds)
        return objects

    def _folder(self, step: _Step) -> ArtifactFolder:
        repository = self.repository
        return ArtifactFolder(
            repository=repository.root,
            copy=repository.copy,
            path=step.path,
            file=step.path,
            left_out=TREES,
        )

    def _changes_files(self, step: _Step) -> bool:
        try:
            return flux_build.changes_files(self._folder(step), step.spec)
        except CommandError:
            return False  # the build finds the same problem

    def _build(self, step: _Step) -> Build:
        folder = self._folder(step)
        if problems := flux_build.reference_problems(folder, step.spec):
            return Build([], [_reference_finding(*problem) for problem in problems])
        try:
            manifests = flux_build.manifests(folder, step.spec)
            values = substitution.values(
                step.spec, lambda name: variables.data_of(self.objects, step.namespace, name)
            )
            objects = [self._object(step, manifest, values) for manifest in manifests]
        except CommandError as error:
            problem = f"does not build: {error}"
            return Build([], [Finding(file=step.path, object="", problem=problem)])
        return Build(objects, [])

    def _object(self, step: _Step, manifest: Manifest, values: Values | None) -> BuiltObject:
        """Return an object with the values of its variables. Raises CommandError."""
        use = variables.use_of(step.path, step.spec, manifest, values)
        self.uses.append(use)
        return BuiltObject(
            path=step.path,
            manifest=use.manifest,
            applied_by=f"{step.namespace}/{step.name}",
            is_pruned=step.spec.get("prune") is True,
            is_decrypted=bool(mapping_at(step.spec, "decryption")),
            has_unknown_variables=use.has_unknown,
        )

    def _next_step(self, built: BuiltObject) -> _Step | None:
        """Return the path of this repository that an object makes Flux apply, if any."""
        path = flux_paths.applied_path(built.manifest)
        if path is None:
            return None
        if not os.path.isdir(self.repository.copy / path):  # noqa: PTH112 - accepts any name
            self.findings.append(_missing_path(built))
            return None
        return _Step(path=path, spec=built.spec, namespace=str(built.namespace), name=built.name)


def build_cluster(root: Path, stack: Stack, components: str | None, copy: Path) -> Build:
    """Build all paths that the Flux of one cluster applies, from a new copy of a checkout."""
    cluster = build_in(pack(root, copy), stack, components)
    return Build(cluster.objects, cluster.findings)


def build_in(repository: Repository, stack: Stack, components: str | None) -> ClusterBuild:
    """Build all paths that the Flux of one cluster applies.

    `components` are Flux's own manifests, None if they are missing.
    """
    try:
        rendered = rendered_cluster.render(repository.definitions, stack)
    except ConfigError as error:
        findings = [Finding.of_line(line) for line in error.problems]
        return ClusterBuild(repository=repository, findings=findings, is_complete=False)
    files = tree.render(stack, components, rendered)
    cluster = build_tree(repository, stack.path, _buildable(stack, components, files))
    cluster.tree = files
    return cluster


def build_tree(repository: Repository, path: str, files: Mapping[str, str]) -> ClusterBuild:
    """Build all paths that the Flux of one cluster applies, from the files of its tree at `path`.

    The build starts at the entrypoint and follows every Flux Kustomization of this repository.
    """
    cluster = ClusterBuild(repository=repository)
    with _written(repository.copy, files):
        cluster.run(_Step(path=path, spec={}))
    return cluster


def _buildable(stack: Stack, components: str | None, whole: Mapping[str, str]) -> dict[str, str]:
    """Return the tree of a cluster, without a reference to components that are not at hand."""
    files = dict(whole)
    if components is None:
        listing = f"{stack.path}/{layout.FLUX_LIST}"
        name = layout.COMPONENTS_FILE.rpartition("/")[2]
        lines = [line for line in files[listing].splitlines() if name not in line]
        files[listing] = "\n".join(lines) + "\n"
    return files


@contextmanager
def _written(copy: Path, files: Mapping[str, str]) -> Iterator[None]:
    """Write the tree of one cluster to the copy, and remove it at the end."""
    try:
        for path, text in files.items():
            target = copy / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        yield
    finally:
        shutil.rmtree(copy / TREES)


def _missing_path(built: BuiltObject) -> Finding:
    path = built.spec.get("path")
    return built.finding(f"spec.path {path} does not exist for this cluster; correct it")


def _reference_finding(file: str, reference: str, problem: str) -> Finding:
    return Finding(file=file, object=reference, problem=problem)
