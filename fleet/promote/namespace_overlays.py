"""Overlays of a namespace, for clusters that need other labels or annotations."""

from __future__ import annotations

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.promote import namespaces
from fleet.promote.draft import Draft
from fleet.promote.namespaces import COMMON, INFRASTRUCTURE, Home, entry_of


def add(draft: Draft, home: Home, stack: Stack) -> None:
    """Give a namespace a base and overlays, and point each of its clusters at its overlay."""
    base = f"{home.own_folder}/base"
    entries = namespaces.entries_with(draft, home.namespace)
    if home.namespace in draft.namespaces(COMMON):
        raise FleetError(
            f"{COMMON}: has Namespace {home.namespace}, the same for all clusters; take it out of "
            "there before you make overlays"
        )
    if home.folder != base:
        _move_to_base(draft, home, base)
    clusters = {found.name: found for found, _ in entries} | {stack.name: stack}
    for found in clusters.values():
        overlay = f"{home.own_folder}/overlays/{found.environment}"
        if draft.kustomization(overlay) is None:
            draft.new_kustomization(overlay, "../../base")
        draft.add_entry(found, INFRASTRUCTURE, entry_of(overlay))
    if not draft.changes:
        raise FleetError(f"{stack.name}: has Namespace {home.namespace} by its overlay already")
    for found, entry in entries:
        if f"{INFRASTRUCTURE}/{entry}" in (home.own_folder, base):
            draft.remove_entry(found, INFRASTRUCTURE, entry)
            draft.trees.add(found.name)
    for folder, resource in namespaces.references(draft, home):
        importers = draft.importers(INFRASTRUCTURE, entry_of(folder))
        draft.trees |= {found.name for found in importers}
        draft.drop_resource(folder, resource)


def _move_to_base(draft: Draft, home: Home, base: str) -> None:
    namespaces.refuse_shared_file(draft, home)
    if not home.is_own:
        draft.refuse_changes_of(home.folder)
        draft.new_kustomization(base, home.file)
        draft.move(home.path, f"{base}/{home.file}")
        namespaces.note_former_set(draft, home, f"{base}/{home.file}")
        return
    for path in draft.paths(home.own_folder):
        file = path.removeprefix(f"{home.own_folder}/")
        if "/" not in file:
            draft.move(path, f"{base}/{file}")
