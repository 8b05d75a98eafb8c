"""The rule about objects that move between Flux Kustomizations, compared with a commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fleet.check.rules import Rule, finds
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.inventory import build
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.deliveries import deliveries
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube import artifact
from fleet.kube.once import id_of
from fleet.render import header, layout, moves
from fleet.render.definition_build import NOT_OF_ONE_CLUSTER, OF_ONE_CLUSTER, TREES


@dataclass(frozen=True, kw_only=True)
class FormerTrees:
    """The trees of a commit, with the definitions of that commit.

    `blobs` has Git's name for the content of each file, so that most files need not be read.
    `folder` is for the others, and `now` is the checkout as it is. In it, the trees of the stacks
    `differing` are not those of the next `up`.
    """

    commit: str
    blobs: Mapping[str, str]
    folder: Path
    now: Repository
    differing: Collection[str]

    def objects(self, stack: Stack, cluster: ClusterBuild) -> Objects:
        """Return all objects of a stack's tree that can be built.

        There are none if it is new, or the same as `cluster` with definitions that have the same
        objects.
        """
        if not self._trees.get(stack.path):
            return Objects()
        if not self._is_same_tree(stack, cluster):
            return build.build_tree(self._repository, stack.path, self._files(stack)).objects
        if self._has_same_definitions or (not cluster.has_own_builds and self._has_same_names):
            return Objects()
        return build.rebuild(self._repository, stack.path, cluster).objects

    @cached_property
    def _trees(self) -> Mapping[str, list[str]]:
        """The files of each folder of trees."""
        found: dict[str, list[str]] = {}
        for path in self.blobs:
            if path.startswith(f"{TREES}/"):
                found.setdefault("/".join(path.split("/")[:2]), []).append(path)
        return found

    def _is_same_tree(self, stack: Stack, cluster: ClusterBuild) -> bool:
        components = f"{stack.path}/{layout.COMPONENTS_FILE}"
        paths = {*cluster.files, *([] if cluster.components is None else [components])}
        if stack.name not in self.differing and stack.path not in self._changed:
            return paths <= self.blobs.keys()
        files = dict(cluster.files)
        if cluster.components is not None:
            files[components] = header.with_header(stack.file, cluster.components)
        return all(
            artifact.is_blob(text.encode(), self.blobs.get(path, ""))
            for path, text in files.items()
        )

    @cached_property
    def _changed(self) -> frozenset[str]:
        """The folders of the trees that may differ between the commit and the checkout."""
        paths = artifact.changed_files(self.now.root, self.commit, TREES)
        return frozenset("/".join(path.split("/")[:2]) for path in paths)

    @cached_property
    def _has_same_definitions(self) -> bool:
        return artifact.has_files_of(self.now.root, self.blobs, OF_ONE_CLUSTER)

    @cached_property
    def _has_same_names(self) -> bool:
        return self.now.entries.have_same_names_in(self._repository.entries)

    @cached_property
    def _repository(self) -> Repository:
        definitions = self.folder / "definitions"
        artifact.extract(self.now.root, self.commit, definitions, NOT_OF_ONE_CLUSTER)
        return build.pack(definitions, self.folder / "repository")

    def _files(self, stack: Stack) -> dict[str, str]:
        tree = self.folder / stack.path
        artifact.extract(self.now.root, self.commit, tree, (stack.path,))
        return {
            path: (tree / path).read_text("utf-8", "replace") for path in self._trees[stack.path]
        }


def former_trees(
    commit: str | None, folder: Path, now: Repository, differing: Collection[str]
) -> FormerTrees | None:
    """Return the trees of a commit of a checkout, the last one if None; None if there is none.

    `folder` is a new folder, and `now` the checkout as it is, in which the trees of the stacks
    `differing` are not those of the next `up`. Raises FleetError for a commit that does not exist.
    """
    found = artifact.full_name(now.root, commit or "HEAD")
    if found is not None:
        blobs = artifact.blobs(now.root, found)
        return FormerTrees(commit=found, blobs=blobs, folder=folder, now=now, differing=differing)
    if commit is not None:
        raise FleetError(f"--since {commit}: is no commit of {now.root}; name one that it has")
    return None


def findings_of_all(
    former: FormerTrees | None, builds: Iterable[tuple[Stack, ClusterBuild]]
) -> Iterator[Finding]:
    """Apply the rule to all clusters that can be built."""
    for stack, cluster in builds:
        if former is not None and cluster.is_complete:
            objects = former.objects(stack, cluster)
            yield from findings(objects, cluster.objects) if objects else ()


@finds(Rule.MOVED_OBJECT)
def findings(former: Iterable[BuiltObject], objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: no object moves from one Flux Kustomization to another while Flux could delete it."""
    new = list(objects)
    before, after = _without_unmoved(list(former), new)
    paths = {built.applied_by: built.path for built in new}
    for move in moves.moves(deliveries(before), deliveries(after)):
        yield Finding(
            # What another repository has is in no path of this one.
            file=paths.get(move.target, move.target),
            object=", ".join(move.names),
            problem=move.problem,
        )


def _without_unmoved(
    former: Sequence[BuiltObject], objects: Sequence[BuiltObject]
) -> tuple[list[BuiltObject], list[BuiltObject]]:
    """Return both lists without the objects that the same Flux Kustomizations apply in both.

    A Kustomization stays, since it can bring objects of another repository.
    """
    pairs = [
        {(id_of(built.manifest), built.applied_by) for built in found}
        for found in (former, objects)
    ]
    changed = {found for found, _ in pairs[0] ^ pairs[1]}
    before, after = (
        [
            built
            for built in found
            if id_of(built.manifest) in changed or built.is_flux_kustomization
        ]
        for found in (former, objects)
    )
    return before, after
