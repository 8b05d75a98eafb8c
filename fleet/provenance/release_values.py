"""The values of a HelmRelease that decide about an object: helm renders without each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.inventory import field_diff
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.field_diff import FieldDifference
from fleet.inventory.model import Cluster
from fleet.inventory.objects import Objects
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id

# With more values than these, the mappings at the top level are left out as a whole: a run of helm
# with a large chart takes about half a second.
_MAX_RUNS = 16
# The keys from the spec of a HelmRelease to a value.
Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A value of a HelmRelease, and what it changes in an object.

    A chart may refuse to render without it, or not make the object.
    """

    path: Path
    changes: tuple[FieldDifference, ...] = ()
    is_needed: bool = False


def effects(cluster: Cluster, built: BuiltObject) -> Iterator[Effect]:
    """Yield the values that change an object that helm renders, in the order of its HelmRelease."""
    release = built.release
    for path in _paths(release.spec) if release else ():
        effect = _effect(cluster, built, path)
        if effect is not None:
            yield effect


def _paths(spec: Mapping[str, Any]) -> list[Path]:
    sources = [("valuesFrom", index) for index in range(len(spec.get("valuesFrom") or ()))]
    values = mapping_at(spec, "values")
    leaves = list(_leaves(values, ("values",)))
    if len(sources) + len(leaves) > _MAX_RUNS:
        leaves = [("values", str(key)) for key in values]
    return [*sources, *leaves]


def _leaves(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    else:
        yield path


def _effect(cluster: Cluster, built: BuiltObject, path: Path) -> Effect | None:
    release = built.release
    assert release is not None  # noqa: S101 - the caller has asked
    changed = dataclasses.replace(release, manifest=_without(release.manifest, ("spec", *path)))
    # Helm asks for the other objects of the cluster, too.
    objects = [changed if item is release else item for item in cluster.build.objects]
    released = cluster.build.release(Objects.of(objects))
    wanted = object_id(built.manifest)
    same = (item for item in released.objects if item.applied_by == built.applied_by)
    found = next((item for item in same if object_id(item.manifest) == wanted), None)
    if found is None:
        return Effect(path=path, is_needed=True)
    changes = field_diff.differences(found.manifest, built.manifest)
    if found.holds_secrets or built.holds_secrets:
        changes = tuple(change.hidden() for change in changes)
    return Effect(path=path, changes=changes) if changes else None


def _without(value: Any, path: Sequence[str | int]) -> Manifest:  # noqa: ANN401 - any YAML value
    """Return a copy of a value without what is at a path."""
    key, *rest = path
    if isinstance(value, list):
        return [item for index, item in enumerate(value) if index != key]  # type: ignore[return-value]
    if not rest:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: _without(value[key], rest)}
