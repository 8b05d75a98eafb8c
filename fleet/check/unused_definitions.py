"""The kustomizations that no cluster uses. That is no mistake: an overlay comes before its use."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from fleet.config import definitions
from fleet.config.models import Stack
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.built_object import is_of_flux
from fleet.inventory.finding import listed
from fleet.kube import flux_build, references
from fleet.kube.fields import Fields
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.manifest import Manifest
from fleet.kube.once import distinct
from fleet.render import entry_lists, flux_paths, rendered, stages


def used(repository: Repository, builds: Iterable[tuple[Stack, ClusterBuild]]) -> set[str]:
    """Return the folders of the kustomizations that clusters use."""
    return {
        found
        for folder, spec in _applied(list(builds))
        for found in _read_by(repository, folder, spec)
    }


def lines(repository: Repository, used_folders: set[str]) -> Iterator[str]:
    """Yield a line that names the kustomizations which no cluster uses, if there are some."""
    unused = sorted(_kustomizations(repository) - used_folders)
    if unused:
        yield f"no cluster uses these yet: {listed(unused)}"


def _kustomizations(repository: Repository) -> set[str]:
    """Return the folders of shared definitions that have a kustomization."""
    return {
        path.parent.relative_to(repository.copy).as_posix()
        for path in definitions.yaml_files(repository.copy)
        if path.name in KUSTOMIZATION_FILES
    }


def _applied(builds: Iterable[tuple[Stack, ClusterBuild]]) -> list[tuple[str, Fields]]:
    """Return the folders that clusters name or Flux applies, each with the spec of the latter."""
    folders: dict[str, Fields] = {}
    manifests: list[Manifest] = []
    for stack, cluster in builds:
        for pairs in stages.entries_by_stage(stack).values():
            folders |= {entry_lists.source_of(shared, entry): {} for shared, entry in pairs}
        if stack.is_rendered:
            # What a Flux Kustomization applies is rendered too, into a folder of the tree.
            sources = (rendered.source_of(text) for text in cluster.files.values())
            folders |= {source: {} for source in sources if source}
        of_flux = cluster.objects.where(is_of_flux)
        manifests += [built.manifest for built in of_flux if built.is_flux_kustomization]
    applied = [
        (path, manifest["spec"])
        for manifest in distinct(manifests)
        if (path := flux_paths.applied_path(manifest)) is not None
    ]
    return [*folders.items(), *applied]


def _read_by(repository: Repository, path: str, spec: Fields) -> Iterator[str]:
    """Yield the folders whose kustomizations a build reads."""
    folder = repository.entries.folder(path)
    if os.path.isdir(folder.folder):  # noqa: PTH112 - accepts any name
        for file in references.inputs(folder, flux_build.components(folder, spec)):
            if file.name in KUSTOMIZATION_FILES:
                yield file.parent.relative_to(repository.copy).as_posix()
