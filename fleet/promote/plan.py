"""The plan of a promotion: it decides what a name stands for, and which edits bring it further."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Collection, Mapping

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.inventory.model import near_names
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.promote import apps, common, namespace_overlays, namespaces, order, policies
from fleet.promote.draft import Checkout, Draft, Plan, Request, app_of

COMMON = "common"
_APPS, _NAMESPACES, _POLICIES = "apps", "namespaces", "policies"


def plan(checkout: Checkout, request: Request) -> Plan:
    """Return the plan of a promotion. Raises FleetError if it is wrong or there is none."""
    draft = Draft(checkout=checkout)
    kind, name = _thing(draft, request.name)
    request = dataclasses.replace(request, name=name)
    _refuse_unused(request, kind)
    if request.to == COMMON:
        _to_common(draft, request, kind)
    elif kind == _POLICIES:
        place = policies.places(draft)[name]
        if request.to == policies.SHARED:
            policies.to_shared(draft, place)
        else:
            policies.to_cluster(draft, place, _stack(checkout, request.to))
    elif kind == _APPS:
        apps.to_cluster(draft, request, _stack(checkout, request.to))
    else:
        _namespace_to_cluster(draft, request, _stack(checkout, request.to))
    return draft.plan()


def _refuse_unused(request: Request, kind: str) -> None:
    """Raise FleetError for an option that has no effect on a thing, or on the way it goes."""
    to_cluster = request.to not in (COMMON, policies.SHARED)
    used = {
        "--from": kind == _APPS and to_cluster and not request.overlay,
        "--overlay": kind != _POLICIES and to_cluster,
        "--set": kind != _POLICIES and to_cluster and not (request.overlay and kind == _NAMESPACES),
        "--baseline": request.to == COMMON,
    }
    given = {
        "--from": request.source,
        "--overlay": request.overlay,
        "--set": request.set_name,
        "--baseline": request.baseline,
    }
    for option, value in given.items():
        if value and not used[option]:
            raise FleetError(
                f"{option}: has no effect when {kind}/{request.name} goes to {request.to}; "
                "remove it"
            )


def _thing(draft: Draft, name: str) -> tuple[str, str]:
    """Return the kind of the thing that a name stands for, and the name without its kind."""
    known: Mapping[str, Collection[str]] = {
        _APPS: _apps(draft),
        _NAMESPACES: namespaces.homes(draft),
        _POLICIES: policies.places(draft),
    }
    prefix, _, rest = name.partition("/")
    if prefix in known and rest:
        known, name = {prefix: known[prefix]}, rest
    found = [kind for kind, names in known.items() if (_bare(kind, name)) in names]
    if len(found) > 1:
        words = " or ".join(f"{kind}/{name}" for kind in found)
        raise FleetError(f"{name}: stands for several things; write {words}")
    if not found:
        near = near_names(name, {each for names in known.values() for each in names})
        hint = f"near names: {near}" if near else "name one that apps/ or infrastructure/ has"
        raise FleetError(f"{name}: is no app, namespace or policy here; {hint}")
    return found[0], name


def _bare(kind: str, name: str) -> str:
    return app_of(name) if kind == _APPS else name


def _apps(draft: Draft) -> set[str]:
    folders = (
        posixpath.dirname(path).removeprefix(f"{_APPS}/")
        for path in draft.paths(_APPS)
        if posixpath.basename(path) in KUSTOMIZATION_FILES
    )
    return {app_of(folder) for folder in folders if folder.split("/")[0] != COMMON}


def _stack(checkout: Checkout, name: str) -> Stack:
    if name in checkout.stacks:
        return checkout.stacks[name]
    near = near_names(name, checkout.stacks)
    hint = f"near names: {near}" if near else f"clusters here: {', '.join(checkout.stacks)}"
    raise FleetError(f"--to {name}: is no cluster here; {hint}")


def _namespace_to_cluster(draft: Draft, request: Request, stack: Stack) -> None:
    found = draft.checkout.namespaces
    if request.name in found[stack.name] and not request.overlay:
        raise FleetError(f"{stack.name}: has Namespace {request.name} already; nothing to promote")
    if not request.force:
        holders = [name for name, names in found.items() if request.name in names]
        order.check(stack, holders, draft.checkout.stacks, request.name)
    if request.overlay:
        namespace_overlays.add(draft, namespaces.homes(draft)[request.name], stack)
    else:
        namespaces.add(draft, request.name, stack, request.set_name)


def _to_common(draft: Draft, request: Request, kind: str) -> None:
    if kind == _POLICIES:
        raise FleetError(
            f"{request.name}: is a policy; the set of all clusters is {policies.SHARED}, so write "
            f"--to {policies.SHARED}"
        )
    reason = request.baseline or ""
    if not reason.strip() or not reason.isprintable():
        raise FleetError(
            f"{request.name}: common reaches every cluster that imports it, and is for platform "
            "components without which no cluster is complete; give the reason in one line with "
            "--baseline REASON, or promote to each cluster"
        )
    if kind == _APPS:
        common.add_app(draft, app_of(request.name), reason)
    else:
        common.add_namespace(draft, namespaces.homes(draft)[request.name], reason)
