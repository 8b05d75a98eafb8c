"""The rule about objects that move between Flux Kustomizations, compared with a commit."""

from __future__ import annotations

import dataclasses
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
class Former:
    """A commit of a checkout: its trees, and its definitions if they are others than now.

    `blobs` has Git's name for the content of each file, so that most files need not be read.
    `changed` are the folders of the trees that may differ between the commit and the checkout.
    `folder` is for files of the commit.
    """

    root: Path
    commit: str
    folder: Path
    blobs: Mapping[str, str]
    changed: frozenset[str]
    repository: Repository | None

    def without_threads(self) -> Former:
        """Return the same, without threads; see `Repository.without_threads`."""
        return self._with(self.repository and self.repository.without_threads())

    def apart(self, copy: Path) -> Former:
        """Return the same for another process; see `Repository.apart`."""
        return self._with(self.repository and self.repository.apart(copy))

    def _with(self, repository: Repository | None) -> Former:
        return dataclasses.replace(self, repository=repository)

    @cached_property
    def trees(self) -> Mapping[str, list[str]]:
        """The files of each folder of trees."""
        found: dict[str, list[str]] = {}
        for path in self.blobs:
            if path.startswith(f"{TREES}/"):
                found.setdefault("/".join(path.split("/")[:2]), []).append(path)
        return found

    def files(self, stack: Stack) -> dict[str, str]:
        """Return the texts of a stack's tree."""
        tree = self.folder / stack.path
        artifact.extract(self.root, self.commit, tree, (stack.path,))
        return {
            path: (tree / path).read_text("utf-8", "replace") for path in self.trees[stack.path]
        }


@dataclass(frozen=True, kw_only=True)
class FormerTrees:
    """The trees of a commit, compared with a checkout as it is `now`.

    The trees of the stacks `differing` are not those of the next `up`.
    """

    former: Former
    now: Repository
    differing: Collection[str]

    def objects(self, stack: Stack, cluster: ClusterBuild) -> Objects:
        """Return all objects of a stack's tree that can be built.

        There are none if it is new, or the same as `cluster` with definitions that have the same
        objects.
        """
        if not self.former.trees.get(stack.path):
            return Objects()
        repository = self.former.repository
        if not self._is_same_tree(stack, cluster):
            files = self.former.files(stack)
            return build.build_tree(repository or self.now, stack.path, files).objects
        if repository is None or (not cluster.has_own_builds and self._has_same_names):
            return Objects()
        return build.rebuild(repository, stack.path, cluster).objects

    def _is_same_tree(self, stack: Stack, cluster: ClusterBuild) -> bool:
        blobs = self.former.blobs
        components = f"{stack.path}/{layout.COMPONENTS_FILE}"
        paths = {*cluster.files, *([] if cluster.components is None else [components])}
        if stack.name not in self.differing and stack.path not in self.former.changed:
            return paths <= blobs.keys()
        files = dict(cluster.files)
        if cluster.components is not None:
            files[components] = header.with_header(stack.file, cluster.components)
        return all(
            artifact.is_blob(text.encode(), blobs.get(path, "")) for path, text in files.items()
        )

    @cached_property
    def _has_same_names(self) -> bool:
        """Tell whether the definitions of the commit have the same objects as those of now."""
        former = self.former.repository
        return former is None or self.now.entries.have_same_names_in(former.entries)


def read(root: Path, commit: str | None, folder: Path) -> Former | None:
    """Return a commit of a checkout, the last one if None; None if there is none.

    `folder` is a new folder. Raises FleetError for a commit that does not exist.
    """
    found = artifact.full_name(root, commit or "HEAD")
    if found is None:
        if commit is not None:
            raise FleetError(f"--since {commit}: is no commit of {root}; name one that it has")
        return None
    blobs = artifact.blobs(root, found)
    changed = artifact.changed_files(root, found, TREES)
    repository = None
    if not artifact.has_files_of(root, blobs, OF_ONE_CLUSTER):
        definitions = folder / "definitions"
        artifact.extract(root, found, definitions, NOT_OF_ONE_CLUSTER)
        repository = build.pack(definitions, folder / "repository")
    return Former(
        root=root,
        commit=found,
        folder=folder,
        blobs=blobs,
        changed=frozenset("/".join(path.split("/")[:2]) for path in changed),
        repository=repository,
    )


def findings_of_all(
    former: FormerTrees, builds: Iterable[tuple[Stack, ClusterBuild]]
) -> Iterator[Finding]:
    """Apply the rule to all clusters that can be built."""
    for stack, cluster in builds:
        if cluster.is_complete:
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
