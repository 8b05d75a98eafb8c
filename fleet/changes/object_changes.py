"""The changes of one cluster's objects, each with what Flux, Helm and the API server make of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from fleet.changes import change_notes
from fleet.changes.change_notes import Note, Rule
from fleet.changes.deletions import Deletions, deletions
from fleet.inventory import deliveries
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.field_diff import FieldDifference
from fleet.inventory.object_set import ObjectSet
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import ObjectId
from fleet.kube.once import id_of
from fleet.render import flux, moves
from fleet.render.moves import Move


class Kind(str, Enum):
    """The kind of a change."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    REMOVED = "removed"
    # The object is in both trees, but what holds it is deleted.
    RECREATED = "recreated"


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """A change of one object.

    `kustomization` applies the object, or applied it; `moved_from` did so before. Something is
    deleted if `is_deleted`, even if it is made again.
    """

    kind: Kind
    object: ObjectId
    tenant: str
    kustomization: str
    moved_from: str = ""
    fields: tuple[FieldDifference, ...] = ()
    notes: tuple[Note, ...] = ()
    is_deleted: bool = False


@dataclass(frozen=True)
class Pair:
    """An object before and after a change, None where there is none."""

    before: BuiltObject | None
    after: BuiltObject | None

    @property
    def any(self) -> BuiltObject:
        """The object afterwards, or the one before if it is gone."""
        found = self.after or self.before
        if found is None:
            raise ValueError("a pair without an object")
        return found


def changes(before: ObjectSet, after: ObjectSet) -> list[tuple[ObjectChange, Pair]]:
    """Return all changes when a cluster that holds `before` gets `after`."""
    return list(_Comparing(before, after).run())


def tenant_of(built: BuiltObject) -> str:
    """Return the tenant that an object belongs to, empty if it is none's."""
    label = mapping_at(built.metadata, "labels").get(flux.TENANT_LABEL)
    own = f"{built.namespace}/{built.name}" if built.is_flux_kustomization else ""
    return flux.tenant_of(built.applied_by) or flux.tenant_of(own) or str(label or "")


class _Comparing:
    def __init__(self, before: ObjectSet, after: ObjectSet) -> None:
        self.before, self.after = before, after
        self.deleted: Deletions = deletions(before, after)
        self.moves: dict[str, Move] = {
            name: move for move in _unsafe_moves(before, after) for name in move.names
        }

    def run(self) -> Iterator[tuple[ObjectChange, Pair]]:
        for found in dict.fromkeys([*self.before.by_id, *self.after.by_id]):
            old, new = self.before.by_id.get(found), self.after.by_id.get(found)
            pair = Pair(old[0] if old else None, new[0] if new else None)
            change = self._change(found, pair)
            if change is not None:
                yield change, pair
        yield from self._moves_elsewhere()

    def _change(self, found: ObjectId, pair: Pair) -> ObjectChange | None:
        old, new = pair.before, pair.after
        if old is None:
            return self._found(Kind.ADDED, found, pair)
        if new is None:
            return self._removed(found, pair)
        fields = self.after.comparison.fields(old, new)
        source = self._moved_from(found)
        notes: Iterable[Note] = ()
        if fields:
            notes = change_notes.of_change(old, new, self.after.kustomizations)
        if found in self.deleted.causes:
            change = self._found(Kind.RECREATED, found, pair)
            notes = (self._deletion(found),)
        elif source:
            change = dataclasses.replace(self._found(Kind.MOVED, found, pair), moved_from=source)
            notes = (self._move(new, source), *notes)
        elif fields:
            change = self._found(Kind.CHANGED, found, pair)
        else:
            return None
        kept = tuple(notes)
        is_deleted = any(note.rule is Rule.RECREATED for note in kept)
        return dataclasses.replace(change, fields=fields, notes=kept, is_deleted=is_deleted)

    def _found(self, kind: Kind, found: ObjectId, pair: Pair) -> ObjectChange:
        built = pair.any
        return ObjectChange(
            kind=kind, object=found, tenant=tenant_of(built), kustomization=built.applied_by
        )

    def _removed(self, found: ObjectId, pair: Pair) -> ObjectChange:
        change = self._found(Kind.REMOVED, found, pair)
        if found not in self.deleted.causes:
            text = f"stays in the cluster, because {self.deleted.kept[found]}"
            note = Note(rule=Rule.STAYS, text=text)
            return dataclasses.replace(change, notes=(note,))
        taken = change_notes.taken(pair.any, self.deleted.taken_by(found))
        notes = (self._deletion(found), *taken)
        return dataclasses.replace(change, notes=notes, is_deleted=True)

    def _deletion(self, found: ObjectId) -> Note:
        cause = self.deleted.causes[found]
        is_back = found in self.after.by_id
        who = "Helm" if self.before.by_id[found][0].is_released else "Flux"
        by = f"{who} deletes it" if cause is None else f"is deleted together with {cause}"
        end = ", and it is made again as soon as that is possible" if is_back else ""
        rule = Rule.RECREATED if is_back else Rule.DELETED
        return Note(rule=rule, text=f"{by}{end}")

    def _moved_from(self, found: ObjectId) -> str:
        """Return the Kustomization that an object has left for another one, empty if none."""
        stays = _appliers(self.before, found) & _appliers(self.after, found)
        return "" if stays else self.before.by_id[found][0].applied_by

    def _move(self, moved: BuiltObject, source: str) -> Note:
        move = self.moves.get(moved.display_name)
        if move is not None and move.source == source:
            return Note(rule=Rule.RECREATED, text=move.problem)
        text = f"moves from Flux Kustomization {source} to {moved.applied_by}, and is not lost"
        return Note(rule=Rule.MOVED, text=text)

    def _moves_elsewhere(self) -> Iterator[tuple[ObjectChange, Pair]]:
        """Yield the moves of what is in another repository, which has no object here."""
        known = {str(found) for found in self.before.by_id.keys() & self.after.by_id.keys()}
        for name, move in self.moves.items():
            target = self.after.kustomizations.get(move.target)
            if name in known or target is None:
                continue
            found = id_of(target.manifest)
            note = Note(rule=Rule.RECREATED, text=f"{name}: {move.problem}")
            change = ObjectChange(
                kind=Kind.MOVED,
                object=found,
                tenant=tenant_of(target),
                kustomization=move.target,
                moved_from=move.source,
                notes=(note,),
                is_deleted=True,
            )
            yield change, Pair(None, target)


def _unsafe_moves(before: ObjectSet, after: ObjectSet) -> Sequence[Move]:
    both = before.by_id.keys() & after.by_id.keys()
    moved = {found for found in both if not _appliers(before, found) & _appliers(after, found)}
    return moves.moves(*(deliveries.deliveries(_movable(part, moved)) for part in (before, after)))


def _appliers(objects: ObjectSet, found: ObjectId) -> set[str]:
    return {built.applied_by for built in objects.by_id[found]}


def _movable(objects: ObjectSet, moved: Iterable[ObjectId]) -> Iterator[BuiltObject]:
    """Yield objects that move, and Kustomizations, which may bring objects from elsewhere."""
    ids = {*moved, *objects.ids_of(objects.kustomizations.values())}
    for built in (copy for found in ids for copy in objects.by_id[found]):
        is_pruned = objects.is_pruned(built)
        is_known = built.is_pruned == is_pruned
        yield built if is_known else dataclasses.replace(built, is_pruned=is_pruned)
