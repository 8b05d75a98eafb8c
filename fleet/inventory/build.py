"""The build of one cluster: all objects that its Flux would apply from this repository."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fleet.config.models import Stack
from fleet.errors import CommandError, ConfigError
from fleet.helm.renderer import Renderer
from fleet.inventory import built_object, own_sources, resource_sets, variables
from fleet.inventory.built_object import Build, BuiltObject
from fleet.inventory.entries import Entries, ReferencesError
from fleet.inventory.entrypoints import Entrypoint
from fleet.inventory.finding import Finding
from fleet.inventory.lists import Lists
from fleet.inventory.manifest_list import ManifestList
from fleet.inventory.objects import Objects, OwnPart, Part, SharedPart
from fleet.inventory.own_sources import OwnSources, Sources
from fleet.inventory.releases import Released, Releases
from fleet.inventory.remote_resources import Remote
from fleet.inventory.variables import VariableUse
from fleet.kube import artifact, flux_build, schema_sources, substitution
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.flux_build import CHANGING_FIELDS
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.substitution import Values
from fleet.kube.yaml_writer import to_yaml
from fleet.render import (
    entry_lists,
    flux,
    flux_paths,
    header,
    layout,
    rendered_cluster,
    stages,
    tree,
    tree_file,
)
from fleet.render.definition_build import OF_ONE_CLUSTER, TREES, Definitions
from fleet.render.header import with_header
from fleet.render.tree_file import TreeFile

# A Kustomization that builds itself with other variables each time would never end.
_MAX_DEPTH = 10
# These fields of a Flux Kustomization decide what it builds from a path.
_BUILD_FIELDS = (*CHANGING_FIELDS, "postBuild", "decryption")
_JSON = json.JSONEncoder(default=str)
# The program applies the Kustomization of a cluster's tree, so no file has it.
_ROOT_SPEC: Fields = {"prune": True}


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A checkout, a copy of the files that Flux fetches from it, and its definitions."""

    root: Path
    copy: Path
    definitions: Definitions
    entries: Entries
    _folders: dict[str, bool] = field(default_factory=dict)

    def has_folder(self, path: str) -> bool:
        """Tell whether the copy has a folder, but for those of a cluster's tree."""
        if path not in self._folders:
            self._folders[path] = os.path.isdir(self.copy / path)  # noqa: PTH112 - accepts any name
        return self._folders[path]

    def without_threads(self) -> Repository:
        """Return the repository when all builds that were started have ended, and their threads.

        A process can be forked then.
        """
        return dataclasses.replace(self, entries=self.entries.without_threads())

    def apart(self, copy: Path) -> Repository:
        """Return the repository with the new folder `copy` for its files, and with all builds.

        Another process writes to the folders of this one.
        """
        shutil.copytree(self.copy, copy, copy_function=_linked)
        entries = dataclasses.replace(self.entries, copy=copy.resolve())
        return _repository(entries, copy)

    @cached_property
    def releases(self) -> Releases:
        """The HelmReleases of the repository. Raises FleetError for a wrong lock of charts."""
        version = schema_sources.kubernetes_version()
        return Releases(renderer=Renderer(self.root, self.copy, version))


def _linked(file: str, copy: str) -> None:
    """Give a file that nobody changes another name; copy it where that is not possible."""
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)


def pack(root: Path, copy: Path, left_out: re.Pattern[str] | None = OF_ONE_CLUSTER) -> Repository:
    """Copy the files of a checkout that Flux fetches for every cluster to the new folder `copy`.

    Files whose paths `left_out` matches are not copied.
    """
    return _packed(Entries(root=root, copy=copy.resolve(), left_out=left_out), copy)


def pack_and_start(
    root: Path, copy: Path, stacks: Sequence[tuple[Stack, str | None]]
) -> Repository:
    """Copy the same files, and start to build what the trees of stacks list.

    So no cluster waits for its parts one by one. Each stack is given with Flux's install manifests,
    None without them.
    """
    entries = Entries(root=root, copy=copy.resolve())
    for manifests in dict.fromkeys(manifests for _, manifests in stacks if manifests):
        # This build takes longest, and needs no file of the checkout.
        entries.start_patched(flux.components(manifests), flux.flag_patches())
    repository = _packed(entries, copy)
    lists = (
        tuple(entry_lists.source_of(folder, entry) for folder, entry in pairs)
        for stack, _ in stacks
        if not stack.is_rendered
        for pairs in stages.entries_by_stage(stack).values()
    )
    for paths in dict.fromkeys(lists):
        entries.start_list(paths)
    return repository


def _packed(entries: Entries, copy: Path) -> Repository:
    artifact.pack(entries.root, copy, left_out=entries.left_out)
    return _repository(entries, copy)


def _repository(entries: Entries, copy: Path) -> Repository:
    definitions = Definitions(root=entries.root, copy=copy.with_name(f"{copy.name}-definitions"))
    return Repository(
        root=entries.root, copy=entries.copy, definitions=definitions, entries=entries
    )


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A path that a Flux Kustomization applies, its spec and its name."""

    path: str
    spec: Fields
    namespace: str = FLUX_NAMESPACE
    name: str = flux.SYNC_NAME

    @cached_property
    def applier_name(self) -> str:
        """The name that the objects of the step have as `applied_by`."""
        return f"{self.namespace}/{self.name}"

    @property
    def takes_variables(self) -> bool:
        """Tell whether objects have values for variables, which other steps may bring."""
        return bool(mapping_at(self.spec, "postBuild").get("substituteFrom"))

    @property
    def key(self) -> str:
        """A text that is equal for steps that build the same objects."""
        fields = {name: self.spec[name] for name in _BUILD_FIELDS if name in self.spec}
        return _JSON.encode([self.path, self.namespace, self.name, fields])


@dataclass(kw_only=True)
class ClusterBuild:
    """The build of one cluster. It is complete if each of its paths builds.

    `tree` has its files by path, without Flux's install manifests; it is empty if its definitions
    cannot be rendered. `components` are these manifests, None if they are missing. A cluster of a
    repository that fleet did not make has `sources` and no tree.
    """

    repository: Repository
    sources: OwnSources | None = None
    # The remote resources that the copy of the repository does not have.
    remote: Remote = field(default_factory=dict)
    tree: Mapping[str, TreeFile] = field(default_factory=dict)
    components: str | None = None
    # What Flux applies; helm adds the objects of HelmReleases to it.
    objects: Objects = field(default_factory=Objects)
    findings: list[Finding] = field(default_factory=list)
    # What else brings objects, which cannot be known from the files of the repository.
    unknown: list[Finding] = field(default_factory=list)
    # The variables of each object that has some.
    uses: list[VariableUse] = field(default_factory=list)
    is_complete: bool = True
    is_written: bool = False
    # Folders of the tree are built by kustomize itself, so their builds are shared with no cluster.
    has_own_builds: bool = False

    @cached_property
    def _lists(self) -> Lists:
        files = {path: file.manifests for path, file in self.tree.items()}
        return Lists(entries=self.repository.entries, files=files, components=self.components)

    @cached_property
    def released(self) -> Released:
        """The objects of the cluster's HelmReleases. Helm runs when they are asked for first."""
        return self.release(self.objects)

    def release(self, objects: Objects) -> Released:
        """Return what HelmReleases would bring if the cluster had these objects."""
        own = self.sources.names if self.sources else None
        return self.repository.releases.of_cluster(objects, own)

    @cached_property
    def all_objects(self) -> Objects:
        """The objects that Flux applies, and those that its HelmReleases bring."""
        return self.objects.with_own(self.released.objects)

    @cached_property
    def appliers(self) -> Mapping[str, BuiltObject]:
        """The Kustomizations and HelmReleases of Flux by the name that `applied_by` has."""
        return built_object.appliers(self.all_objects)

    def objects_with(self, other: ClusterBuild) -> Sequence[BuiltObject]:
        """Return all objects but those of HelmReleases that are not rendered here or in another."""
        unknown = {*self.released.unrendered, *other.released.unrendered}
        if not unknown:
            return self.all_objects
        return [built for built in self.all_objects if built.applied_by not in unknown]

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The text of each file of the tree, by its path."""
        return {path: file.write() for path, file in self.tree.items()}

    @cached_property
    def _folders(self) -> frozenset[str]:
        found = {"."} if self.tree else set()
        for file in self.tree:
            folder = file.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def run(self, step: _Step) -> None:
        """Build a path and, level by level, all paths that the built Kustomizations apply."""
        try:
            self._run(step)
        finally:
            self._remove_tree()

    def _run(self, step: _Step) -> None:
        todo, seen = [step], {step.key}
        waiting: list[BuiltObject] = []
        for _ in range(_MAX_DEPTH):
            waiting += self._build_all(todo)
            steps, waiting = self._next_steps(waiting)
            todo = list({step.key: step for step in steps if step.key not in seen}.values())
            seen.update(step.key for step in todo)
        for step in todo:
            problem = f"is below {_MAX_DEPTH} other paths of Flux; apply it from a path above"
            self.findings.append(Finding(file=step.path, object="", problem=problem))
        self.unknown.extend(self._unknown_places(waiting))

    def _build_all(self, steps: Sequence[_Step]) -> list[BuiltObject]:
        """Build paths, and return the Kustomizations of Flux that they bring."""
        if self.sources is not None:
            steps = sorted(steps, key=lambda step: step.takes_variables)
            for step in steps:
                self.repository.entries.start(step.path, step.spec)
        found: list[BuiltObject] = []
        for step in steps:
            objects, findings = self._build(step)
            objects = self._with_templates(objects)
            self.unknown += self._remote_resources(step)
            self.objects.parts += objects.parts
            found += objects.where(flux_paths.is_flux_kustomization)
            self.findings.extend(findings)
            self.is_complete &= not findings
        return found

    def _remote_resources(self, step: _Step) -> Iterator[Finding]:
        """Yield a finding for each remote resource that the build of a path would fetch."""
        folder = self.repository.entries.folder(step.path)
        if not self.remote or flux_build.reference_problems(folder, step.spec):
            return
        for file in flux_build.inputs(folder, flux_build.components(folder, step.spec)).files:
            for text in self.remote.get(file, ()):
                yield Finding(file=file, object=text, problem="is remote, so it is not known here")

    def _with_templates(self, built_objects: Objects) -> Objects:
        """Return objects with what the ResourceSets among them make."""
        if self.sources is None:
            return built_objects
        objects = [*built_objects]
        for built in objects:
            made, unknown = resource_sets.made_by(built)
            # A ResourceSet may make more of them, so the list grows while it is read.
            objects += made
            self.unknown += unknown
        return built_objects.with_own(objects[len(built_objects) :])

    def _build(self, step: _Step) -> tuple[Objects, list[Finding]]:
        is_plain = not any(name in step.spec for name in CHANGING_FIELDS)
        entry = self._lists.built(step.path) if is_plain else None
        try:
            lists = [self._whole(step)] if entry is None else entry.lists
            return self._objects(step, lists), []
        except ReferencesError as error:
            return Objects(), [_reference_finding(*problem) for problem in error.problems]
        except CommandError as error:
            problem = f"does not build: {error}"
            return Objects(), [Finding(file=step.path, object="", problem=problem)]

    def _whole(self, step: _Step) -> ManifestList:
        """Return what kustomize builds from a path. Raises CommandError and ReferencesError."""
        entries = self.repository.entries
        if step.path not in self._folders:
            return entries.applied(step.path, step.spec)
        self.has_own_builds = True
        self._write_tree()
        return entries.build(step.path, step.spec)

    def _objects(self, step: _Step, lists: Iterable[Sequence[Manifest]]) -> Objects:
        """Return the objects of a path with the values of their variables. Raises CommandError."""
        values = substitution.values(
            step.spec, lambda name: variables.data_of(self.objects, step.namespace, name)
        )
        return Objects(self._part(step, manifests, values) for manifests in lists)

    def _part(self, step: _Step, manifests: Sequence[Manifest], values: Values | None) -> Part:
        if not isinstance(manifests, ManifestList):
            objects = [self._object(step, manifest, values) for manifest in manifests]
            return OwnPart(path=step.path, objects=objects)
        return SharedPart(
            path=step.path,
            manifests=manifests,
            own={
                index: self._object(step, manifests[index], values)
                for index in manifests.passing(variables.are_in)
            },
            make=functools.partial(_object_of, step),
        )

    def _object(self, step: _Step, manifest: Manifest, values: Values | None) -> BuiltObject:
        if not variables.are_in(manifest):
            return _object_of(step, manifest)
        use = variables.use_of(step.path, step.spec, manifest, values)
        self.uses.append(use)
        before = None if use.manifest is manifest else manifest
        return _object_of(step, use.manifest, before, has_unknown=use.has_unknown)

    def _remove_tree(self) -> None:
        if self.is_written:
            shutil.rmtree(self.repository.copy / TREES, ignore_errors=True)
            self.is_written = False

    def _write_tree(self) -> None:
        """Write the tree to the copy, unless it is there."""
        if self.is_written:
            return
        self.is_written = True
        files = dict(self.files)
        for listing in [file for file in files if file.endswith(f"/{layout.FLUX_LIST}")]:
            if self.components is None:
                files[listing] = _without_components(files[listing])
            else:
                folder = listing.removesuffix(layout.FLUX_LIST)
                files[f"{folder}{layout.COMPONENTS_FILE}"] = self.components
        for path, text in files.items():
            target = self.repository.copy / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def _next_steps(self, objects: Iterable[BuiltObject]) -> tuple[list[_Step], list[BuiltObject]]:
        """Return the steps of this repository that Kustomizations make Flux apply.

        The second value are the Kustomizations whose paths are not known (yet).
        """
        if self.sources is None:
            paths = [
                (built, path)
                for built in objects
                if (path := flux_paths.applied_path(built.manifest)) is not None
            ]
            elsewhere = [built for built, _ in paths if built.spec.get("kubeConfig")]
            self.unknown += [built.finding(own_sources.ELSEWHERE) for built in elsewhere]
            found = (self._step(built, path) for built, path in paths if built not in elsewhere)
            return [step for step in found if step is not None], []
        known = own_sources.known(self.objects)
        places = [(built, self.sources.place(built, known)) for built in objects]
        found = (self._step(built, place.path) for built, place in places if not place.reason)
        waiting = [built for built, place in places if place.reason]
        return [step for step in found if step is not None], waiting

    def _unknown_places(self, waiting: Iterable[BuiltObject]) -> Iterator[Finding]:
        """Yield a finding for each Kustomization whose path is not known at the end."""
        if self.sources is not None:
            known = own_sources.known(self.objects)
            for built in waiting:
                yield built.finding(self.sources.place(built, known).reason)

    def _step(self, built: BuiltObject, path: str) -> _Step | None:
        if path not in self._folders and not self.repository.has_folder(path):
            self.findings.append(_missing_path(built))
            return None
        return _Step(path=path, spec=built.spec, namespace=str(built.namespace), name=built.name)


def _object_of(
    step: _Step,
    manifest: Manifest,
    before_variables: Manifest | None = None,
    *,
    has_unknown: bool = False,
) -> BuiltObject:
    return BuiltObject(
        path=step.path,
        manifest=manifest,
        applied_by=step.applier_name,
        is_pruned=step.spec.get("prune") is True,
        is_decrypted=bool(mapping_at(step.spec, "decryption")),
        before_variables=before_variables,
        has_unknown_variables=has_unknown,
    )


def build_cluster(root: Path, stack: Stack, components: str | None, copy: Path) -> Build:
    """Build all paths that the Flux of one cluster applies, from a new copy of a checkout."""
    cluster = build_in(pack(root, copy), stack, components)
    return Build([*cluster.objects], cluster.findings)


def build_in(repository: Repository, stack: Stack, install_manifests: str | None) -> ClusterBuild:
    """Build all paths that the Flux of one cluster applies.

    The install manifests are Flux's own, None if they are missing.
    """
    try:
        rendered = rendered_cluster.render(repository.definitions, stack)
    except ConfigError as error:
        findings = [Finding.of_line(line) for line in error.problems]
        return ClusterBuild(repository=repository, findings=findings, is_complete=False)
    components = None if install_manifests is None else flux.components(install_manifests)
    files = {path: _with_header(stack, file) for path, file in tree.files(stack, rendered).items()}
    return _built(repository, stack.path, files, components)


def _with_header(stack: Stack, file: TreeFile) -> TreeFile:
    return dataclasses.replace(file, write=lambda: with_header(stack.file, file.write()))


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Parts of a repository that no build has: remote resources, and the sources in all files."""

    remote: Remote
    declared_sources: Sources


def build_entrypoint(
    repository: Repository, entrypoint: Entrypoint, outside: Outside
) -> ClusterBuild:
    """Build all paths that the Flux of a cluster applies that fleet did not make."""
    entrypoint = _with_patches(repository, entrypoint)
    cluster = _built_from(repository, entrypoint, outside, entrypoint.spec)
    # Its own folder may patch the Kustomization that applies it.
    wanted = (entrypoint.namespace, entrypoint.name)
    for built in cluster.objects:
        if built.is_flux_kustomization and (built.namespace, built.name) == wanted:
            step = _first_step(entrypoint, built.spec)
            if step.key != _first_step(entrypoint, entrypoint.spec).key:
                return _built_from(repository, entrypoint, outside, built.spec)
    return cluster


def _with_patches(repository: Repository, entrypoint: Entrypoint) -> Entrypoint:
    """Return an entrypoint whose Kustomization has the patches of its instance."""
    patches = [patch for patch in entrypoint.patches if mapping_at(patch, "target")]
    sync = {
        "apiVersion": f"{flux_paths.GROUP}/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": entrypoint.namespace, "name": entrypoint.name},
        "spec": entrypoint.spec,
    }
    built = repository.entries.patched(to_yaml(sync), patches) if patches else None
    if built is None or len(built.manifests) != 1:
        return entrypoint
    return dataclasses.replace(entrypoint, spec=mapping_at(built.manifests[0], "spec"))


def _built_from(
    repository: Repository, entrypoint: Entrypoint, outside: Outside, spec: Fields
) -> ClusterBuild:
    sources = OwnSources(
        copy=repository.copy, entrypoint=entrypoint, declared=outside.declared_sources
    )
    cluster = ClusterBuild(repository=repository, sources=sources, remote=outside.remote)
    cluster.run(_first_step(entrypoint, spec))
    return cluster


def _first_step(entrypoint: Entrypoint, spec: Fields) -> _Step:
    return _Step(
        path=entrypoint.path, spec=spec, namespace=entrypoint.namespace, name=entrypoint.name
    )


def build_tree(repository: Repository, path: str, texts: Mapping[str, str]) -> ClusterBuild:
    """Build all paths that the Flux of one cluster applies, from the files of its tree at `path`.

    The build starts at the entrypoint and follows every Flux Kustomization of this repository.
    """
    others = dict(texts)
    components = others.pop(f"{path}/{layout.COMPONENTS_FILE}", None)
    files = {name: tree_file.of_text(text) for name, text in others.items()}
    return _built(repository, path, files, components and header.body(components))


def rebuild(repository: Repository, path: str, cluster: ClusterBuild) -> ClusterBuild:
    """Build the tree of a cluster, which is at `path`, with the definitions of `repository`."""
    return _built(repository, path, cluster.tree, cluster.components)


def _built(
    repository: Repository,
    path: str,
    files: Mapping[str, TreeFile],
    components: str | None,
) -> ClusterBuild:
    cluster = ClusterBuild(repository=repository, tree=files, components=components)
    cluster.run(_Step(path=path, spec=_ROOT_SPEC))
    return cluster


def _without_components(listing: str) -> str:
    """Return the list of Flux's folder without the components, which are not at hand."""
    name = layout.COMPONENTS_FILE.rpartition("/")[2]
    return "".join(line for line in listing.splitlines(keepends=True) if name not in line)


def _missing_path(built: BuiltObject) -> Finding:
    path = built.spec.get("path")
    return built.finding(f"spec.path {path} does not exist for this cluster; correct it")


def _reference_finding(file: str, reference: str, problem: str) -> Finding:
    return Finding(file=file, object=reference, problem=problem)
