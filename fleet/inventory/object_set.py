"""The objects that one cluster is supposed to hold, found by what a comparison asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from fleet.inventory import built_object, field_diff
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.field_diff import FieldDifference
from fleet.kube.manifest import Manifest, ObjectId
from fleet.kube.once import id_of

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A memory of manifests that many clusters share: each pair is compared once."""

    _same: dict[tuple[int, int], tuple[Manifest, Manifest, bool]] = field(default_factory=dict)
    _fields: dict[tuple[int, int], tuple[Manifest, Manifest, tuple[FieldDifference, ...]]] = field(
        default_factory=dict
    )

    def is_same(self, before: Manifest, after: Manifest) -> bool:
        """Tell whether two objects are equal."""
        return before is after or _once(self._same, before, after, _is_equal)

    def fields(self, before: BuiltObject, after: BuiltObject) -> tuple[FieldDifference, ...]:
        """Return the fields that differ."""
        old, new = before.manifest, after.manifest
        if self.is_same(old, new):
            return ()
        found = _once(self._fields, old, new, field_diff.differences)
        is_hidden = before.holds_secrets or after.holds_secrets
        return tuple(item.hidden() for item in found) if is_hidden else found

    def are_same(self, before: Sequence[BuiltObject], after: Sequence[BuiltObject]) -> bool:
        """Tell whether two clusters hold equal objects, which the same Kustomizations apply."""
        return len(before) == len(after) and all(
            old.applied_by == new.applied_by and self.is_same(old.manifest, new.manifest)
            for old, new in zip(before, after, strict=True)
        )


def _is_equal(before: Manifest, after: Manifest) -> bool:
    # In Python the number 1 equals true.
    return before == after and _as_json(before) == _as_json(after)


def _as_json(manifest: Manifest) -> str:
    return json.dumps(manifest, sort_keys=True, default=str)


def _once(
    known: dict[tuple[int, int], tuple[Manifest, Manifest, _Result]],
    before: Manifest,
    after: Manifest,
    compute: Callable[[Manifest, Manifest], _Result],
) -> _Result:
    key = (id(before), id(after))
    if key not in known:
        known[key] = (before, after, compute(before, after))
    return known[key][2]


@dataclass(frozen=True)
class ObjectSet:
    """All objects of a cluster, in their order."""

    objects: Sequence[BuiltObject]
    comparison: Comparison

    @cached_property
    def by_id(self) -> dict[ObjectId, list[BuiltObject]]:
        """Return the objects by identity; more than one if several Kustomizations apply it."""
        found: dict[ObjectId, list[BuiltObject]] = {}
        for built in self.objects:
            found.setdefault(id_of(built.manifest), []).append(built)
        return found

    @cached_property
    def appliers(self) -> dict[str, BuiltObject]:
        """The Kustomizations and HelmReleases of Flux by the name that `applied_by` has."""
        return built_object.appliers(self.objects)

    @cached_property
    def kustomizations(self) -> dict[str, BuiltObject]:
        """Return the Flux Kustomizations by namespace/name."""
        return {name: built for name, built in self.appliers.items() if built.is_flux_kustomization}

    def ids_of(self, objects: Iterable[BuiltObject]) -> list[ObjectId]:
        """Return the identities of objects."""
        return [id_of(built.manifest) for built in objects]

    def is_pruned(self, built: BuiltObject) -> bool:
        """Tell whether the Kustomization of an object deletes what leaves it."""
        applier = self.kustomizations.get(built.applied_by)
        return built.is_pruned if applier is None else applier.spec.get("prune") is True
