"""The impact of a change: the objects of each cluster that it changes, and when it does so.

Flux applies the tree that is committed, with the definitions of the branch. So these are live when
they are merged. What a stack file changes is live when `pulumi up` has committed the new tree, and
so are the definitions of a rendered cluster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from fleet.changes import object_changes
from fleet.changes.object_changes import Kind, ObjectChange
from fleet.changes.revisions import ChangedFile
from fleet.changes.sources import Source, Sources
from fleet.errors import FleetError
from fleet.inventory import build, committed, model
from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.model import Cluster, Fleet, Progress, near_names
from fleet.inventory.object_set import Comparison, ObjectSet
from fleet.inventory.objects import Objects
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import ObjectId, object_id
from fleet.policies import refusals
from fleet.policies.refusals import Refusal

# Flux's install manifests have this label.
_OF_FLUX = ("app.kubernetes.io/part-of", "flux")


class Moment(str, Enum):
    """The moment at which a change reaches a cluster."""

    MERGE = "merge"
    UP = "up"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of an object in a cluster, when it is live, and the lines that cause it."""

    moment: Moment
    found: ObjectChange
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class NewRefusal:
    """Objects that a policy of a cluster refuses because of the change, and from when on."""

    moment: Moment
    found: Refusal


@dataclass(frozen=True, kw_only=True)
class ClusterImpact:
    """All changes of one cluster. A new cluster gets everything by its first `pulumi up`.

    With problems some objects are not known, and the list of changes is not complete.
    """

    name: str
    environment: str
    branch: str
    is_rendered: bool
    # The file that stands for the cluster: its stack file, or the one that has its entrypoint.
    file: str
    # Without a stack, fleet did not make the cluster.
    has_stack: bool = True
    is_new: bool = False
    is_removed: bool = False
    changes: tuple[Change, ...] = ()
    refusals: tuple[NewRefusal, ...] = ()
    problems: tuple[str, ...] = ()
    # Objects that bring others which are in no file here; a change can only be one of themselves.
    unknown: tuple[str, ...] = ()

    @property
    def is_reached(self) -> bool:
        """Tell whether the change reaches the cluster, or could do so."""
        return bool(
            self.changes or self.refusals or self.problems or self.is_new or self.is_removed
        )

    @property
    def deletions(self) -> list[Change]:
        """The changes that delete something, also if it is made again."""
        return [change for change in self.changes if change.found.is_deleted]


@dataclass(frozen=True, kw_only=True)
class SharedFile:
    """A changed file of the shared definitions: who reads it, and the clusters that it changes."""

    path: str
    line: int
    readers: tuple[str, ...]
    at_merge: tuple[str, ...]
    at_up: tuple[str, ...]
    environments: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Impact:
    """The impact of a change on a whole fleet; `clusters` are all, also those without changes."""

    clusters: tuple[ClusterImpact, ...]
    files: tuple[SharedFile, ...]
    # What brings objects that cannot be known, so that they are not compared, one line for each.
    unknown: tuple[str, ...] = ()
    # The policies that cannot be judged here, one line for each.
    not_judged: tuple[str, ...] = ()

    @property
    def reached(self) -> list[ClusterImpact]:
        """The clusters that the change reaches."""
        return [cluster for cluster in self.clusters if cluster.is_reached]

    @property
    def deletions(self) -> int:
        """The number of objects that are deleted, in all clusters."""
        return sum(len(cluster.deletions) for cluster in self.clusters)


ObjectsById = Mapping[ObjectId, Sequence[BuiltObject]]


@dataclass(frozen=True, kw_only=True)
class _States:
    """The objects of a cluster: applied now, after the merge, and before and after the next `up`.

    The next `up` after the change leads to `planned`, and without the change to `planned_before`.
    """

    now: ClusterBuild
    merged: ClusterBuild
    planned_before: ClusterBuild
    planned: ClusterBuild
    # The change has another tree, which somebody or `pulumi up` has committed.
    has_new_tree: bool = False
    problems: tuple[str, ...] = ()


def impact(
    before: Fleet,
    after: Fleet,
    changed: Mapping[str, ChangedFile],
    progress: Progress = lambda _: None,
) -> Impact:
    """Return the impact of the change from one state of a checkout to another."""
    comparing = _Comparing(before=before, after=after, sources=Sources(before, after, changed))
    names = sorted(before.clusters.keys() | after.clusters.keys())
    clusters = [comparing.cluster(name) for name in names]
    refused, not_judged = _refusals(comparing.transitions, progress)
    judged = tuple(
        dataclasses.replace(cluster, refusals=tuple(refused.get(cluster.name, ())))
        for cluster in clusters
    )
    return Impact(
        clusters=judged,
        files=tuple(_shared_files(comparing.sources, judged)),
        unknown=tuple(model.unknown(after, before)),
        not_judged=tuple(not_judged),
    )


def _refusals(
    transitions: Sequence[_Transition], progress: Progress
) -> tuple[dict[str, list[NewRefusal]], list[str]]:
    """Return what policies newly refuse by cluster, and a line for each that is not judged."""
    found = refusals.refusals([item.states for item in transitions], progress)
    by_name: dict[str, list[NewRefusal]] = {}
    for item, (new, _) in zip(transitions, found, strict=True):
        by_name.setdefault(item.cluster, []).extend(
            NewRefusal(moment=item.moment, found=refusal) for refusal in new
        )
    judged = [
        (item.cluster, judgement) for item, (_, judgement) in zip(transitions, found, strict=True)
    ]
    return by_name, refusals.not_judged(judged)


@dataclass(frozen=True, kw_only=True)
class _Transition:
    """The states of a cluster before and after a moment."""

    cluster: str
    moment: Moment
    states: refusals.Transition


@dataclass(frozen=True, kw_only=True)
class _Comparing:
    before: Fleet
    after: Fleet
    sources: Sources
    comparison: Comparison = field(default_factory=Comparison)
    # All states that a change leads to, for the policies of the clusters.
    transitions: list[_Transition] = field(default_factory=list)

    def cluster(self, name: str) -> ClusterImpact:
        old, new = self.before.clusters.get(name), self.after.clusters.get(name)
        if new is None:
            assert old is not None  # noqa: S101 - the name is one of theirs
            return self._removed(old)
        if old is None:
            nothing = dataclasses.replace(new.build, objects=Objects(), findings=[])
            # Without a stack there is no `up`: Flux applies what is merged.
            moment = Moment.MERGE if new.stack is None else Moment.UP
            changes = self._changes(moment, (nothing, new.build), new)
            self._add_transition(name, moment, [], new.build)
            return dataclasses.replace(
                _impact_of(new), is_new=True, changes=tuple(changes), problems=_problems(new.build)
            )
        states = self._states(old, new)
        if states is None:
            return _impact_of(new)
        changes = self._changes(Moment.MERGE, (states.now, states.merged), new)
        self._add_transition(name, Moment.MERGE, [states.now], states.merged)
        if states.planned is not states.merged:
            # What the next `up` refuses also without this change is no news.
            known = [states.merged, states.planned_before]
            self._add_transition(name, Moment.UP, known, states.planned)
            pending = self._pending(states)
            changes += [
                change
                for change in self._changes(Moment.UP, (states.merged, states.planned), new)
                if change.found.object not in pending
            ]
        builds = (states.now, states.merged, states.planned)
        problems = dict.fromkeys(
            [*states.problems, *_problems(*builds), *self._unknown_releases(*builds[::2])]
        )
        return dataclasses.replace(
            _impact_of(new), changes=tuple(changes), problems=tuple(problems)
        )

    def _add_transition(
        self, name: str, moment: Moment, before: Sequence[ClusterBuild], after: ClusterBuild
    ) -> None:
        states = refusals.Transition(before=before, after=after)
        self.transitions.append(_Transition(cluster=name, moment=moment, states=states))

    def _unknown_releases(self, before: ClusterBuild, after: ClusterBuild) -> Iterator[str]:
        """Yield a line for each release that changes and is not rendered on both sides."""
        unrendered = [built.released.unrendered for built in (before, after)]
        for name in sorted({*unrendered[0], *unrendered[1]}):
            old, new = (built.appliers.get(name) for built in (before, after))
            if old is None or new is None:
                continue
            is_unknown = all(name in lines for lines in unrendered)
            if not (is_unknown and self.comparison.is_same(old.manifest, new.manifest)):
                yield f"{name} changes and is not rendered; what it applies is not compared"

    def _removed(self, old: Cluster) -> ClusterImpact:
        """Return the impact on a cluster without a stack file: Flux still applies its tree."""
        found = dataclasses.replace(_impact_of(old), is_removed=True)
        if old.stack is None:
            return found
        built = build.rebuild(self.after.repository, old.path, old.build)
        left = dataclasses.replace(old, build=built)
        states = self._states(old, left)
        if states is None:
            return found
        changes = self._changes(Moment.MERGE, (states.now, states.merged), left)
        problems = dict.fromkeys([*states.problems, *_problems(states.now, states.merged)])
        return dataclasses.replace(found, changes=tuple(changes), problems=tuple(problems))

    def _states(self, old: Cluster, new: Cluster) -> _States | None:
        """Return the states of a cluster, None if they are quickly known to be the same."""
        if old.stack is None or new.stack is None:
            return _states_of_flux(old, new)
        trees = [
            committed.texts(fleet, cluster.path)
            for fleet, cluster in ((self.before, old), (self.after, new))
        ]
        is_complete = old.build.is_complete and new.build.is_complete
        is_same = is_complete and self.comparison.are_same(old.objects, new.objects)
        if is_same and trees[0] == trees[1] and (trees[0] is None or not self.sources.shared):
            return None
        now = old.build if trees[0] is None else committed.live(self.before, old, trees[0])
        problems: tuple[str, ...] = ()
        if trees[1] is not None:
            merged = committed.live(self.after, new, trees[1])
        elif trees[0] is not None:
            merged = now
            problems = (
                f"{old.path} is removed by this change: its Flux finds nothing to apply, and "
                "fails until `pulumi up` commits the tree",
            )
        elif old.stack.is_rendered:
            # The tree has all that it applies, and the definitions are none of it.
            merged = now
        elif old.stack == new.stack:
            merged = new.build
        else:
            merged = build.rebuild(self.after.repository, old.path, old.build)
        return _States(
            now=now,
            merged=merged,
            planned_before=old.build,
            planned=new.build,
            has_new_tree=trees[0] != trees[1],
            problems=(*problems, *committed.edited(*trees)),
        )

    def _pending(self, states: _States) -> set[ObjectId]:
        """Return the objects that the next `up` changes also without this change."""
        builds = (states.planned_before, states.planned, states.now, states.merged)
        before, after, now, merged = (self._set(built).by_id for built in builds)

        def are_same(old: ObjectsById, new: ObjectsById, found: ObjectId) -> bool:
            return self.comparison.are_same(old.get(found, []), new.get(found, []))

        return {
            found
            for found in {*now, *before, *after}
            if are_same(before, after, found)
            # What an edited tree has changed is changed back.
            and (not states.has_new_tree or are_same(now, merged, found))
        }

    def _set(self, built: ClusterBuild) -> ObjectSet:
        return ObjectSet(built.all_objects, self.comparison)

    def _changes(
        self, moment: Moment, builds: tuple[ClusterBuild, ClusterBuild], cluster: Cluster
    ) -> list[Change]:
        before, after = builds
        both = before.objects_with(after), after.objects_with(before)
        if self.comparison.are_same(*both):
            return []
        without_flux = cluster.stack is not None and None in [built.components for built in builds]
        sets = [
            ObjectSet(_without_flux(objects) if without_flux else objects, self.comparison)
            for objects in both
        ]
        is_complete = builds[1].is_complete
        former = self.before.clusters.get(cluster.name)
        stacks = [found.stack for found in (former, cluster) if found and found.stack]
        return [
            Change(moment=moment, found=found, sources=self.sources.of(stacks, pair, moment.value))
            for found, pair in object_changes.changes(*sets)
            # An object that is not built may only be unknown.
            if (is_complete and not _is_unknown(builds[1], pair.before))
            or found.kind not in (Kind.REMOVED, Kind.RECREATED)
        ]


def _states_of_flux(old: Cluster, new: Cluster) -> _States:
    """Return the states of a cluster in which Flux applies everything that is merged."""
    return _States(now=old.build, merged=new.build, planned_before=old.build, planned=new.build)


def _is_unknown(build: ClusterBuild, former: BuiltObject | None) -> bool:
    """Tell whether an object may still be there, since what has brought it brings unknown ones."""
    if former is None:
        return False
    makers = [f"Kustomization {former.applied_by}"]
    makers += [str(object_id(former.made_by))] if former.made_by else []
    return any(finding.object in makers for finding in build.unknown)


def _without_flux(objects: Iterable[BuiltObject]) -> list[BuiltObject]:
    key, value = _OF_FLUX
    return [built for built in objects if mapping_at(built.metadata, "labels").get(key) != value]


def _impact_of(cluster: Cluster) -> ClusterImpact:
    return ClusterImpact(
        name=cluster.name,
        environment=cluster.environment,
        branch=cluster.stack.config.repository.branch if cluster.stack else "",
        is_rendered=cluster.stack is not None and cluster.stack.is_rendered,
        file=cluster.file,
        has_stack=cluster.stack is not None,
        unknown=tuple(cluster.unknown),
    )


def _problems(*builds: ClusterBuild) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            f"{finding}; what it applies is not compared"
            for built in builds
            for finding in built.findings
        )
    )


def _shared_files(sources: Sources, clusters: Sequence[ClusterImpact]) -> Iterator[SharedFile]:
    reached: dict[str, dict[Moment, dict[str, str]]] = {}
    for cluster in clusters:
        for change in cluster.changes:
            for source in change.sources:
                moments = reached.setdefault(source.path, {})
                moments.setdefault(change.moment, {})[cluster.name] = cluster.environment
    for path, readers in sources.readers().items():
        moments = reached.get(path, {})
        environments = {name for names in moments.values() for name in names.values()}
        yield SharedFile(
            path=path,
            line=sources.line(path),
            readers=tuple(readers),
            at_merge=tuple(moments.get(Moment.MERGE, ())),
            at_up=tuple(moments.get(Moment.UP, ())),
            environments=tuple(sorted(environments)),
        )


def named(found: Impact, names: Collection[str]) -> list[ClusterImpact]:
    """Return the reached clusters that a name of a cluster or an environment stands for.

    Raises FleetError for a name of neither.
    """
    known = {text for cluster in found.clusters for text in (cluster.name, cluster.environment)}
    for name in names:
        if name not in known:
            near = near_names(name, known)
            hint = f"near names: {near}" if near else "name one that a stack file has"
            raise FleetError(f"--fail-on {name}: is no environment and no cluster here; {hint}")
    return [cluster for cluster in found.reached if {cluster.name, cluster.environment} & {*names}]
