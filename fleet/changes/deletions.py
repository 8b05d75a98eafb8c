"""The objects that a change deletes in a cluster, and the objects that they take with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.changes import immutable
from fleet.inventory import deliveries
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.object_set import ObjectSet
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import ObjectId
from fleet.kube.once import id_of

_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")


@dataclass(frozen=True, kw_only=True)
class Deletions:
    """The deleted objects, each with the object whose deletion takes it along, if any.

    `kept` are objects that leave the tree and stay in the cluster, each with the reason.
    """

    causes: Mapping[ObjectId, ObjectId | None]
    kept: Mapping[ObjectId, str]

    def taken_by(self, cause: ObjectId) -> list[ObjectId]:
        """Return all objects that a deleted object takes along, also through others."""
        direct = [found for found, other in self.causes.items() if other == cause]
        return [item for found in direct for item in (found, *self.taken_by(found))]


def deletions(before: ObjectSet, after: ObjectSet) -> Deletions:
    """Return what is deleted when a cluster that holds `before` gets `after`."""
    return _Search(before=before, after=after).run()


@dataclass(frozen=True, kw_only=True)
class _Search:
    before: ObjectSet
    after: ObjectSet
    causes: dict[ObjectId, ObjectId | None] = field(default_factory=dict)

    def run(self) -> Deletions:
        gone = [found for found in self.before.by_id if found not in self.after.by_id]
        todo = [found for found in gone if self._reason_to_stay(found) is None]
        self.causes.update(dict.fromkeys(todo))
        for release, objects in self._reinstalled():
            self.causes.update(dict.fromkeys(objects, release))
            todo += objects
        while todo:
            cause = todo.pop()
            for taken in self._taken(cause):
                if taken not in self.causes:
                    self.causes[taken] = cause
                    todo.append(taken)
        kept = {found: str(self._reason_to_stay(found)) for found in gone}
        return Deletions(
            causes=self.causes,
            kept={found: text for found, text in kept.items() if found not in self.causes},
        )

    def _reason_to_stay(self, found: ObjectId) -> str | None:
        """Return why no Kustomization deletes an object that leaves it, None if one does."""
        reasons = [self._reason_to_keep(built) for built in self.before.by_id[found]]
        return None if None in reasons else reasons[0]

    def _reason_to_keep(self, built: BuiltObject) -> str | None:
        name = built.applied_by
        if reason := deliveries.reason_to_keep(built):
            return reason
        applier = self.after.appliers.get(name)
        if applier is None and name in self.before.appliers:
            # What applies it leaves the tree, too. If it is deleted, it takes the object along.
            return f"{name} leaves the tree and does not delete it"
        if applier is not None and applier.spec.get("suspend") is True:
            return f"{name} is suspended"
        return None if self.after.is_pruned(built) else f"{name} has no prune: true"

    def _taken(self, cause: ObjectId) -> Iterator[ObjectId]:
        if (cause.group, cause.kind) == ("", "Namespace"):
            yield from (found for found in self.before.by_id if found.namespace == cause.name)
        elif (cause.group, cause.kind) == _CRD:
            yield from self._instances(self.before.by_id[cause][0])
        for built in self.before.by_id[cause]:
            if built.is_flux_applier and deletes_when_removed(built):
                # Another Kustomization that has the object now could be faster; the rule about
                # moves judges that.
                applied = self._applied(built.applier_name)
                yield from (found for found in applied if found not in self.after.by_id)

    def _reinstalled(self) -> Iterator[tuple[ObjectId, list[ObjectId]]]:
        """Yield the releases that Helm uninstalls and installs again, each with its objects."""
        for name, release in self.after.appliers.items():
            former = self.before.appliers.get(name)
            if former is None or release.spec.get("suspend") is True:
                continue
            if immutable.reinstalling_fields(former.manifest, release.manifest):
                yield id_of(release.manifest), self._applied(name)

    def _instances(self, crd: BuiltObject) -> Iterable[ObjectId]:
        group, kind = crd.spec.get("group"), mapping_at(crd.spec, "names").get("kind")
        return [found for found in self.before.by_id if (found.group, found.kind) == (group, kind)]

    def _applied(self, name: str) -> list[ObjectId]:
        return [
            found
            for found, copies in self.before.by_id.items()
            if any(
                built.applied_by == name and deliveries.reason_to_keep(built) is None
                for built in copies
            )
        ]


def deletes_when_removed(applier: BuiltObject) -> bool:
    """Tell whether a Kustomization or HelmRelease deletes what it applied when it is deleted."""
    spec = applier.spec
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    if spec.get("suspend") is True or applier.is_helm_release:
        return spec.get("suspend") is not True
    if policy == "MirrorPrune":
        return spec.get("prune") is True
    return policy in ("Delete", "WaitForTermination")
