"""The difference of two clusters, or of one cluster at two revisions, object by object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleet.inventory.field_diff import FieldDifference
from fleet.inventory.model import Cluster
from fleet.inventory.object_set import Comparison, ObjectSet
from fleet.kube.manifest import ObjectId


@dataclass(frozen=True, kw_only=True)
class ObjectDifference:
    """An object that differs: its fields, or the Kustomizations that apply it on each side.

    A side that does not have the object has no Kustomization.
    """

    object: ObjectId
    before: str
    after: str
    fields: tuple[FieldDifference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All differences, the number of equal objects, and the paths that do not build."""

    objects: tuple[ObjectDifference, ...]
    equal: int
    problems: tuple[str, ...]


def difference(before: Cluster, after: Cluster) -> Difference:
    """Return what would be different if one cluster became the other.

    The path of a cluster's own tree counts as equal to that of the other cluster.
    """
    comparison = Comparison()
    old = ObjectSet(before.build.objects_with(after.build), comparison)
    new = ObjectSet(after.build.objects_with(before.build), comparison)
    paths = before.path, after.path
    ids = list(dict.fromkeys([*old.by_id, *new.by_id]))
    found = [item for wanted in ids if (item := _of_object(wanted, (old, new), paths)) is not None]
    problems = dict.fromkeys(
        f"{cluster.name}: {text}; what it applies is not compared"
        for cluster in (before, after)
        for text in cluster.problems
    )
    return Difference(objects=tuple(found), equal=len(ids) - len(found), problems=tuple(problems))


def _of_object(
    wanted: ObjectId, sets: tuple[ObjectSet, ObjectSet], paths: tuple[str, str]
) -> ObjectDifference | None:
    before, after = (found.by_id.get(wanted, [None])[0] for found in sets)
    fields: tuple[FieldDifference, ...] = ()
    if before is not None and after is not None:
        fields = sets[0].comparison.fields(before, after)
        fields = tuple(without_paths(fields, paths))
        if not fields and before.applied_by == after.applied_by:
            return None
    return ObjectDifference(
        object=wanted,
        before=before.applied_by if before else "",
        after=after.applied_by if after else "",
        fields=fields,
    )


def without_paths(
    fields: Sequence[FieldDifference], paths: tuple[str, str]
) -> Iterator[FieldDifference]:
    """Yield the differences that are not only the path of the cluster's tree."""
    for found in fields:
        is_path = (
            found.before is not None
            and found.before != found.after
            and found.before.replace(paths[0], paths[1]) == found.after
        )
        if not is_path:
            yield found
