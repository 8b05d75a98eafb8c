"""Promotions into the common sets, which reach every cluster that imports them."""

from __future__ import annotations

import posixpath

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.promote import namespaces
from fleet.promote.draft import Draft, app_of
from fleet.promote.namespaces import INFRASTRUCTURE, Home, entry_of

APPS = "apps/common"
NAMESPACES = namespaces.COMMON


def add_app(draft: Draft, app: str, reason: str) -> None:
    """Bring an app to every cluster that imports the common apps; no list names it then."""
    if f"apps/{app}" in {app_of(path) for path in draft.listed(APPS)}:
        raise FleetError(f"{APPS}: has {app} already; nothing to promote")
    importers = draft.importers("apps", "common")
    for stack in importers:
        for entry in draft.entries(stack, "apps"):
            if app_of(entry) == app and "/overlays/" in entry:
                raise FleetError(
                    f"{stack.file}: lists {entry}, so {app} differs between clusters; it cannot be "
                    "in common, so keep it in the lists of the clusters"
                )
    base = f"{app}/base" if draft.kustomization(f"apps/{app}/base") else app
    needed = sorted(draft.checkout.app_namespaces(f"apps/{base}"))
    for stack in importers:
        for entry in draft.entries(stack, "apps"):
            if app_of(entry) == app:
                draft.remove_entry(stack, "apps", entry)
        for namespace in needed:
            if namespace not in draft.checkout.namespaces[stack.name]:
                namespaces.add(draft, namespace, stack)
        draft.trees.add(stack.name)
    draft.add_resource(APPS, f"../{base}", reason)


def add_namespace(draft: Draft, home: Home, reason: str) -> None:
    """Bring a namespace to every cluster that imports the common set, and out of other sets.

    A cluster that has it and does not import the common set keeps it, by a folder of its own.
    """
    if home.namespace in draft.namespaces(NAMESPACES):
        raise FleetError(
            f"{NAMESPACES}: has Namespace {home.namespace} already; nothing to promote"
        )
    entries = namespaces.entries_with(draft, home.namespace)
    overlays = [(stack, entry) for stack, entry in entries if "/overlays/" in entry]
    for stack, entry in overlays:
        raise FleetError(
            f"{stack.file}: lists {entry}, so Namespace {home.namespace} differs between clusters; "
            "it cannot be in common"
        )
    importers = draft.importers(INFRASTRUCTURE, entry_of(NAMESPACES))
    outside = [stack for stack, _ in entries if stack not in importers]
    resource = _moved(draft, home, bool(outside))
    for stack, entry in entries:
        if stack in importers and _is_own(home, entry):
            draft.remove_entry(stack, INFRASTRUCTURE, entry)
            draft.trees.add(stack.name)
    for stack in outside:
        _keep(draft, home, stack)
    for folder, listed in namespaces.references(draft, home):
        draft.refuse_changes_of(folder)
        draft.drop_resource(folder, listed)
    draft.add_resource(NAMESPACES, resource, reason)


def _moved(draft: Draft, home: Home, is_kept: bool) -> str:
    """Move the file of a namespace, and return the resource that the common set lists."""
    if home.is_own:
        return posixpath.relpath(home.folder, NAMESPACES)
    namespaces.refuse_shared_file(draft, home)
    if not is_kept:
        draft.move(home.path, f"{NAMESPACES}/{home.file}")
        namespaces.note_former_set(draft, home, f"{NAMESPACES}/{home.file}")
        return home.file
    draft.new_kustomization(home.own_folder, home.file)
    draft.move(home.path, f"{home.own_folder}/{home.file}")
    namespaces.note_former_set(draft, home, f"{home.own_folder}/{home.file}")
    return f"../{home.namespace}"


def _keep(draft: Draft, home: Home, stack: Stack) -> None:
    """List a namespace's own folder for a cluster that has it only by a set."""
    entries = draft.entries(stack, INFRASTRUCTURE)
    if not any(_is_own(home, entry) for entry in entries):
        folder = home.folder if home.is_own else home.own_folder
        draft.add_entry(stack, INFRASTRUCTURE, entry_of(folder))
        draft.trees.add(stack.name)


def _is_own(home: Home, entry: str) -> bool:
    return f"{INFRASTRUCTURE}/{entry}/".startswith(f"{home.own_folder}/")
