"""The rule about overlays that stand for absence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.check.pods import pods_of
from fleet.check.rules import Rule, finds
from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.inventory.build import Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding, listed
from fleet.kube import references
from fleet.kube.manifest import Manifest
from fleet.render import entry_lists, stages

_OVERLAYS = "/overlays/"


@finds(Rule.OVERLAY_FOR_ABSENCE)
def findings(repository: Repository, stacks: Iterable[Stack]) -> Iterator[Finding]:
    """Rule: an overlay changes what its base brings; a list leaves out what a cluster lacks."""
    for folder, files in _named_overlays(stacks).items():
        entry = repository.entries.together((folder,))
        # The build of the path reports an overlay that does not build.
        problem = entry and _problem(repository, folder, entry.manifests)
        if problem:
            yield Finding(
                file=folder,
                object="",
                problem=f"{problem}; remove the entry from {listed(files)}, and then the overlay",
            )


def _named_overlays(stacks: Iterable[Stack]) -> dict[str, list[str]]:
    """Return the overlays that stacks name, each with the stack files."""
    found: dict[str, list[str]] = {}
    for stack in stacks:
        for pairs in stages.entries_by_stage(stack).values():
            for shared, entry in pairs:
                folder = entry_lists.source_of(shared, entry)
                if _OVERLAYS in folder:
                    found.setdefault(folder, []).append(stack.file)
    return found


def _problem(repository: Repository, folder: str, manifests: Sequence[Manifest]) -> str | None:
    if _runs_pods(manifests):
        return None
    bases = list(_bases(repository, folder))
    if bases and not manifests:
        return "deletes all that its base brings"
    has_workload = any(_pod_count(manifest) is not None for manifest in manifests)
    if has_workload and _runs_pods(bases):
        return "switches off all that its base runs"
    return None


def _bases(repository: Repository, folder: str) -> Iterator[Manifest]:
    """Yield the objects of the folders that an overlay is made of."""
    try:
        targets = references.targets(repository.copy / folder)
    except CommandError:
        return  # The build reports such a kustomization.
    for target in targets:
        if target.is_dir() and repository.copy in target.parents:
            path = target.relative_to(repository.copy).as_posix()
            entry = repository.entries.together((path,))
            yield from entry.manifests if entry else ()


def _runs_pods(manifests: Iterable[Manifest]) -> bool:
    return any(_pod_count(manifest) for manifest in manifests)


def _pod_count(manifest: Manifest) -> int | None:
    pods = pods_of(BuiltObject(path="", manifest=manifest))
    return None if pods is None else pods.count
