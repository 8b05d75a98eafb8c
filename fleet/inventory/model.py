"""The model of a fleet: for every cluster, the objects that it is supposed to hold.

It is read from the files of a checkout, or of one of its commits, and from nothing else.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.config import load, stack_files
from fleet.config.models import Stack
from fleet.errors import FleetError, NoClustersError
from fleet.inventory import build, entrypoints, remote_resources
from fleet.inventory.build import ClusterBuild, Outside, Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.entrypoints import Entrypoint
from fleet.inventory.finding import listed
from fleet.kube import artifact

Progress = Callable[[str], None]
# Returns Flux's install manifests of each stack by its name, None where they are missing.
InstallManifests = Callable[[Sequence[Stack], Path], Mapping[str, str | None]]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster, the folder that its Flux applies first, and how that is built.

    It has a stack, or in a repository that fleet did not make an entrypoint.
    """

    name: str
    environment: str
    path: str
    build: ClusterBuild
    stack: Stack | None = None
    entrypoint: Entrypoint | None = None

    @property
    def file(self) -> str:
        """The file that decides what the cluster is, or its folder if there is no such file."""
        if self.stack is not None:
            return self.stack.file
        return (self.entrypoint and self.entrypoint.file) or self.path

    @property
    def own_stack(self) -> Stack:
        """The stack of a cluster that fleet made. Raises ValueError if it did not."""
        if self.stack is None:
            raise ValueError(f"{self.name} has no stack")
        return self.stack

    @property
    def facts(self) -> Mapping[str, str]:
        """The facts of the cluster, by name."""
        return self.stack.config.facts if self.stack else {}

    @property
    def objects(self) -> Sequence[BuiltObject]:
        """All objects that the cluster is supposed to hold, as far as they are known."""
        return self.build.all_objects

    @property
    def problems(self) -> Sequence[str]:
        """The reasons why objects are missing here: a line for each path that does not build."""
        return [*map(str, self.build.findings), *self.unknown]

    @property
    def unknown(self) -> Sequence[str]:
        """A line for each thing that brings objects which cannot be known from the files."""
        return [*map(str, self.build.unknown), *self.build.released.unrendered.values()]

    @property
    def doubts(self) -> Sequence[str]:
        """The values of HelmReleases that only the cluster has, so that objects may differ."""
        return self.build.released.doubts


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """All clusters of a checkout, by name, and the files that they are built from.

    `root` is the checkout, or the folder with the files of a commit.
    """

    root: Path
    repository: Repository
    clusters: Mapping[str, Cluster]


@contextmanager
def of_checkout(
    root: Path, install_manifests: InstallManifests, progress: Progress
) -> Iterator[Fleet]:
    """Yield the fleet of a checkout as it is, committed or not. Raises FleetError."""
    with tempfile.TemporaryDirectory(prefix="fleet-model-") as folder:
        yield _read(root, Path(folder), install_manifests, progress)


@contextmanager
def of_commit(
    root: Path, commit: str, install_manifests: InstallManifests, progress: Progress
) -> Iterator[Fleet]:
    """Yield the fleet of a commit of a checkout. Raises FleetError, also for a wrong commit.

    A commit may be older than the first cluster, so it may have none.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-model-") as folder:
        files = Path(folder) / "commit"
        if not artifact.extract(root, commit, files):
            raise FleetError(f"{commit}: is no commit of {root}; name one that it has")
        try:
            fleet = _read(files, Path(folder), install_manifests, progress)
        except NoClustersError:
            repository = build.pack(files, Path(folder) / "no-clusters")
            fleet = Fleet(root=files, repository=repository, clusters={})
        except FleetError as error:
            # The folder has another name in each run.
            raise FleetError(str(error).replace(f"{files}: ", "")) from None
        yield fleet


def _read(
    root: Path, folder: Path, install_manifests: InstallManifests, progress: Progress
) -> Fleet:
    if not stack_files.are_in(root):
        return _of_flux(root, folder, progress)
    stacks = load.stacks(root)
    manifests = install_manifests(stacks, root)
    pairs = [(stack, manifests[stack.name]) for stack in stacks]
    repository = build.pack_and_start(root, folder / "repository", pairs)
    return of_stacks(repository, pairs, progress)


def of_stacks(
    repository: Repository, stacks: Sequence[tuple[Stack, str | None]], progress: Progress
) -> Fleet:
    """Return the fleet of stacks, each given with Flux's install manifests, None without them.

    Raises FleetError.
    """
    clusters: dict[str, Cluster] = {}
    for stack, manifests in stacks:
        progress(f"building {stack.path}")
        clusters[stack.name] = Cluster(
            name=stack.name,
            environment=stack.environment,
            path=stack.path,
            build=build.build_in(repository, stack, manifests),
            stack=stack,
        )
    return Fleet(root=repository.root, repository=repository, clusters=clusters)


def _of_flux(root: Path, folder: Path, progress: Progress) -> Fleet:
    """Return the fleet of a repository that fleet did not make. Raises FleetError."""
    if not root.is_dir():
        raise FleetError(f"{root}: is no folder; name a checkout")
    repository = build.pack(root, folder / "repository", left_out=None)
    documents = list(entrypoints.read(repository.copy))
    found = entrypoints.by_name(entrypoints.find(repository.copy, documents))
    if not found:
        problem = (
            f"{root}: has no Pulumi.<stack>.yaml of fleet, and no Kustomization or FluxInstance of "
            "Flux; name a checkout that has one"
        )
        raise NoClustersError([problem])
    outside = Outside(
        remote=remote_resources.take_out(repository.copy),
        declared_sources=entrypoints.declared_sources(documents),
    )
    clusters: dict[str, Cluster] = {}
    for name, entrypoint in found.items():
        progress(f"building {entrypoint.path}")
        clusters[name] = Cluster(
            name=name,
            environment=entrypoint.environment,
            path=entrypoint.path,
            build=build.build_entrypoint(repository, entrypoint, outside),
            entrypoint=entrypoint,
        )
    return Fleet(root=root, repository=repository, clusters=clusters)


def unknown(*fleets: Fleet) -> list[str]:
    """Return a line for each thing that brings objects which cannot be known from the files."""
    return by_text(
        (cluster.name, text)
        for fleet in fleets
        for cluster in fleet.clusters.values()
        for text in cluster.unknown
    )


def problems(fleet: Fleet) -> list[str]:
    """Return a line for each path that does not build, so that its objects are missing."""
    return by_text(
        (cluster.name, text) for cluster in fleet.clusters.values() for text in cluster.problems
    )


def doubts(fleet: Fleet) -> list[str]:
    """Return a line for each value of a HelmRelease that only the cluster has."""
    return by_text(
        (cluster.name, text) for cluster in fleet.clusters.values() for text in cluster.doubts
    )


def by_text(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each text about clusters, which is given with the name of each."""
    names: dict[str, dict[str, None]] = {}
    for name, text in texts:
        names.setdefault(text, {})[name] = None
    return [f"{listed(list(found))}: {text}" for text, found in names.items()]


def cluster_named(fleet: Fleet, name: str) -> Cluster:
    """Return the cluster of a name. Raises FleetError, with near names, if there is none."""
    if name in fleet.clusters:
        return fleet.clusters[name]
    near = near_names(name, fleet.clusters)
    hint = (
        f"near names: {near}" if near else f"clusters here: {', '.join(fleet.clusters) or 'none'}"
    )
    raise FleetError(f"{name}: is no cluster here; {hint}")


def near_names(name: str, known: Collection[str]) -> str:
    """Return the known names that are most like a name, as a list for a message."""
    return ", ".join(difflib.get_close_matches(name, sorted(known)))
