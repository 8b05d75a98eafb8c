"""The rule about objects that move between Flux Kustomizations, compared with a commit."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from fleet.check import build
from fleet.check.build import ClusterBuild, Repository
from fleet.check.built_object import BuiltObject
from fleet.check.findings import Finding
from fleet.config.models import Stack
from fleet.errors import CommandError, FleetError
from fleet.kube import artifact
from fleet.kube.fields import mapping_at
from fleet.render import flux, moves
from fleet.render.moves import Delivery

_RBAC = "rbac.authorization.k8s.io"


class FormerTrees:
    """The trees of a commit, with the definitions of that commit."""

    def __init__(self, commit: Path, copy: Path, now: Repository) -> None:
        """Read the files of a commit, which are in a folder; `copy` is a new folder.

        `now` is the repository that the commit is compared with.
        """
        self._commit = commit
        self._repository: Repository = build.pack(commit, copy)
        self._now = now

    def objects(self, stack: Stack, tree: Mapping[str, str]) -> list[BuiltObject]:
        """Return all objects of a stack's tree that can be built.

        There are none if it is the same as `tree`, with the same definitions, or is new.
        """
        files = self._files(stack)
        is_same = all(files.get(path) == text for path, text in tree.items())
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
    if not _extract(root, commit or "HEAD", folder):
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
            yield from findings(former.objects(stack, cluster.tree), cluster.objects)


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


def deliveries(objects: Iterable[BuiltObject]) -> Iterator[Delivery]:
    """Yield the delivery of each object, and one for what a Kustomization brings from elsewhere."""
    for built in objects:
        yield Delivery(
            name=built.display_name,
            group=built.group,
            kustomization=built.applied_by,
            is_pruned=built.is_pruned and not _stays(built),
            is_replaceable=_is_replaceable(built),
            tenant=flux.tenant_of(built.applied_by),
        )
        if built.is_flux_kustomization:
            name = f"{built.namespace}/{built.name}"
            labels = mapping_at(built.metadata, "labels")
            if delivery := moves.of_other_repository(name, built.spec, labels):
                yield delivery


def _stays(built: BuiltObject) -> bool:
    return flux.NEVER_PRUNED.items() <= mapping_at(built.metadata, "annotations").items()


def _is_replaceable(built: BuiltObject) -> bool:
    """Tell whether nothing is lost if an object is deleted and made again."""
    is_unused = built.manifest.get("automountServiceAccountToken") is False
    return built.group == _RBAC or (built.kind == "ServiceAccount" and is_unused)


def _extract(root: Path, commit: str, folder: Path) -> bool:
    """Write the files of a commit to `folder`/commit; tell whether there is such a commit."""
    file, target = folder / "commit.tar", folder / "commit"
    try:
        artifact.git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{}}")
    except CommandError:
        return False
    artifact.git(root, "archive", "--format=tar", f"--output={file}", commit)
    target.mkdir()
    with tarfile.open(file) as archive:
        for member in archive:
            # Flux fetches no symbolic links either.
            if member.isfile() and (content := archive.extractfile(member)):
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    return True


def _texts(copy: Path) -> dict[str, bytes]:
    return {
        path.relative_to(copy).as_posix(): path.read_bytes()
        for path in sorted(copy.rglob("*"))
        if path.is_file()
    }
