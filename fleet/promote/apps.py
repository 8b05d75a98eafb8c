"""Promotions of apps into the lists of clusters."""

from __future__ import annotations

import re

from fleet.config.entry_rules import other_environment
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.inventory.model import near_names
from fleet.promote import namespaces, order
from fleet.promote.draft import Draft, Request, app_of

_DELETES = re.compile(r"""\$patch["']?\s*:\s*["']?delete""")


def to_cluster(draft: Draft, request: Request, stack: Stack) -> None:
    """Give a cluster an app, and the namespaces of its objects that the cluster lacks."""
    app = app_of(request.name)
    listed = entries_of(draft, stack, app)
    entry = _new_entry(draft, request, stack)
    if listed and (not request.overlay or entry in listed):
        raise FleetError(f"{stack.name}: has {app} already, by {listed[0]}; nothing to promote")
    if not request.force:
        found = draft.checkout.stacks
        holders = [name for name, other in found.items() if entries_of(draft, other, app)]
        order.check(stack, holders, found, app)
    _refuse_deletions(draft, f"apps/{entry}")
    if request.overlay:
        _make_overlays(draft, app, stack)
    # An overlay that is made here brings what its base brings.
    exists = f"apps/{entry}/kustomization.yaml" not in draft.changes
    built = f"apps/{entry}" if exists else f"apps/{app}/base"
    for namespace in sorted(draft.checkout.app_namespaces(built)):
        if namespace not in draft.checkout.namespaces[stack.name]:
            namespaces.add(draft, namespace, stack, request.set_name)
    if not listed:
        draft.add_entry(stack, "apps", entry)


def entries_of(draft: Draft, stack: Stack, app: str) -> list[str]:
    """Return the entries that bring an app to a cluster, also those that only refer to it."""
    return [
        entry
        for entry in draft.entries(stack, "apps")
        if app_of(entry) == app or f"apps/{app}" in map(app_of, draft.listed(f"apps/{entry}"))
    ]


def _new_entry(draft: Draft, request: Request, stack: Stack) -> str:
    app = app_of(request.name)
    overlay = f"{app}/overlays/{stack.environment}"
    if request.overlay:
        return overlay
    entry = request.name if app != request.name else _listed_elsewhere(draft, request, stack)
    if draft.kustomization(f"apps/{overlay}") is not None and app == request.name:
        return overlay
    if other_environment(entry, stack.environment) is not None and "/overlays/" in entry:
        raise FleetError(
            f"apps/{overlay}: does not exist, and {entry} is for another environment; use "
            "--overlay to make it"
        )
    if draft.kustomization(f"apps/{entry}") is None:
        raise FleetError(f"apps/{entry}: has no kustomization.yaml; name a folder that has one")
    return entry


def _listed_elsewhere(draft: Draft, request: Request, stack: Stack) -> str:
    """Return the entry by which other clusters have an app."""
    app = app_of(request.name)
    stacks = draft.checkout.stacks
    if request.source is not None:
        if request.source not in stacks:
            near = near_names(request.source, stacks) or ", ".join(stacks)
            raise FleetError(f"--from {request.source}: is no cluster here; near names: {near}")
        stacks = {request.source: stacks[request.source]}
    found = {
        name: entry
        for name, other in stacks.items()
        if name != stack.name
        for entry in draft.entries(other, "apps")
        if app_of(entry) == app
    }
    if request.source is not None and not found:
        raise FleetError(f"--from {request.source}: does not list {app}; name a cluster that does")
    kinds = {entry.partition("/overlays/")[0]: entry for entry in found.values()}
    if len(kinds) > 1:
        listed = ", ".join(f"{name} lists {entry}" for name, entry in found.items())
        raise FleetError(f"{app}: {listed}; choose one with --from")
    base = f"{app}/base" if draft.kustomization(f"apps/{app}/base") else app
    return next(iter(kinds.values()), base)


def _make_overlays(draft: Draft, app: str, stack: Stack) -> None:
    """Make an overlay for a cluster, and for each one that lists the base, and list them."""
    base = f"{app}/base"
    if draft.kustomization(f"apps/{base}") is None:
        raise FleetError(
            f"apps/{base}: has no kustomization.yaml; move the app's files there first"
        )
    users = draft.importers("apps", base)
    for found in dict.fromkeys([stack.name, *(user.name for user in users)]):
        environment = draft.checkout.stacks[found].environment
        folder = f"apps/{app}/overlays/{environment}"
        if draft.kustomization(folder) is None:
            draft.new_kustomization(folder, "../../base")
        _refuse_deletions(draft, folder)
    for user in users:
        draft.replace_entry(user, "apps", base, f"{app}/overlays/{user.environment}")


def _refuse_deletions(draft: Draft, folder: str) -> None:
    for path in draft.paths(folder) if "/overlays/" in folder else ():
        if _DELETES.search(draft.text(path) or ""):
            raise FleetError(
                f"{path}: deletes objects, but an overlay is for differences and not for presence; "
                "do not list the app for a cluster that should not have it"
            )
