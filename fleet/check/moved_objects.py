"""The rule about objects that move between Flux Kustomizations, compared with a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.inventory import build
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.deliveries import deliveries
from fleet.inventory.finding import Finding
from fleet.kube import artifact
from fleet.render import header, layout, moves


class FormerTrees:
    """The trees of a commit, with the definitions of that commit."""

    def __init__(self, commit: Path, copy: Path, now: Repository) -> None:
        """Read the files of a commit, which are in a folder; `copy` is a new folder.

        `now` is the repository that the commit is compared with.
        """
        self._commit = commit
        self._repository: Repository = build.pack(commit, copy)
        self._now = now

    def objects(self, stack: Stack, cluster: ClusterBuild) -> list[BuiltObject]:
        """Return all objects of a stack's tree that can be built.

        There are none if it is the same as `cluster`, with the same definitions, or is new.
        """
        files = self._files(stack)
        components = header.body(files.get(f"{stack.path}/{layout.COMPONENTS_FILE}", ""))
        is_same = cluster.components in (None, components) and all(
            files.get(path) == text for path, text in cluster.files.items()
        )
        if not files or (is_same and self._has_same_definitions):
            return []
        return build.build_tree(self._repository, stack.path, files).objects

    @cached_property
    def _has_same_definitions(self) -> bool:
        return _texts(self._repository.copy) == _texts(self._now.copy)

    def _files(self, stack: Stack) -> dict[str, str]:
        return {
            path.relative_to(self._commit).as_posix(): path.read_text("utf-8", "replace")
            for path in sorted((self._commit / stack.path).rglob("*"))
            if path.is_file()
        }


def former_trees(commit: str | None, folder: Path, now: Repository) -> FormerTrees | None:
    """Return the trees of a commit of a checkout, the last one if None; None if there is none.

    `folder` is a new folder, and `now` the checkout as it is. Raises FleetError for a commit that
    does not exist.
    """
    root = now.root
    folder.mkdir()
    if not artifact.extract(root, commit or "HEAD", folder / "commit"):
        if commit is not None:
            raise FleetError(f"--since {commit}: is no commit of {root}; name one that it has")
        return None
    return FormerTrees(folder / "commit", folder / "repository", now)


def findings_of_all(
    former: FormerTrees | None, builds: Iterable[tuple[Stack, ClusterBuild]]
) -> Iterator[Finding]:
    """Apply the rule to all clusters that can be built."""
    for stack, cluster in builds:
        if former is not None and cluster.is_complete:
            yield from findings(former.objects(stack, cluster), cluster.objects)


def findings(former: Iterable[BuiltObject], objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: no object moves from one Flux Kustomization to another while Flux could delete it."""
    new = list(objects)
    paths = {built.applied_by: built.path for built in new}
    for move in moves.moves(deliveries(former), deliveries(new)):
        yield Finding(
            # What another repository has is in no path of this one.
            file=paths.get(move.target, move.target),
            object=", ".join(move.names),
            problem=move.problem,
        )


def _texts(copy: Path) -> dict[str, bytes]:
    return {
        path.relative_to(copy).as_posix(): path.read_bytes()
        for path in sorted(copy.rglob("*"))
        if path.is_file()
    }
