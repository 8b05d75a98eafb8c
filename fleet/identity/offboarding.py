"""Namespaces of tenants that are being deleted and do not end, and the way out.

Kubernetes keeps an object until each of its finalizers is removed, and a namespace until it is
empty. Flux deletes the namespace after `pulumi up` has ended, so only a later run can see it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import process
from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.errors import CommandError
from fleet.kube.manifest import Manifest
from fleet.render.flux import TENANT_LABEL

_SECONDS = 60
# The namespace controller names what is left: "configmaps. has 1 resource instances".
_LEFT = re.compile(r"([a-z0-9-]+)\.([a-z0-9.-]*) has \d+ resource instances")
_METADATA = '{range .items[*]}{.metadata.name}{"\\t"}{.metadata.finalizers}{"\\n"}{end}'
_NO_FINALIZERS = """'{"metadata": {"finalizers": null}}'"""


@dataclass(frozen=True, kw_only=True)
class HeldObject:
    """An object with finalizers. `resource` is its kind as kubectl knows it."""

    resource: str
    name: str
    finalizers: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class EndingNamespace:
    """A tenant's namespace that is being deleted; `reasons` are Kubernetes' words."""

    name: str
    tenant: str
    since: str
    reasons: Sequence[str] = ()
    held: Sequence[HeldObject] = ()


def read(kubectl: Sequence[str]) -> list[EndingNamespace]:
    """Return the tenants' namespaces that are being deleted, and what holds them.

    `kubectl` is the command with its connection. A cluster that cannot be reached has none here,
    because the check of its identity reports it.
    """
    try:
        text = _get(kubectl, "namespaces", f"--selector={TENANT_LABEL}", "--output=json")
    except CommandError:
        return []
    return [
        _ending(kubectl, namespace)
        for namespace in json.loads(text)["items"]
        if "deletionTimestamp" in namespace["metadata"]
    ]


def warnings(
    stack: Stack, namespaces: Sequence[EndingNamespace], kubectl: Sequence[str]
) -> list[str]:
    """Return a line for each object that holds a namespace, or for the namespace, with a way on."""
    return [
        problem(stack.file, key_at(("tenants",)), text)
        for namespace in namespaces
        for text in _texts(namespace, shlex.join(kubectl))
    ]


def command(stack: Stack, kubeconfig: Path) -> list[str]:
    """Return the kubectl command with the connection of a stack."""
    return ["kubectl", "--kubeconfig", str(kubeconfig), "--context", stack.config.cluster.context]


def reasons(namespace: Manifest) -> list[str]:
    """Return the messages of the conditions that keep a namespace."""
    conditions: Sequence[Mapping[str, Any]] = namespace.get("status", {}).get("conditions", ())
    return [condition["message"] for condition in conditions if condition["status"] == "True"]


def resources(messages: Sequence[str]) -> list[str]:
    """Return the kinds that are left in a namespace, as kubectl knows them."""
    found = {match.groups() for message in messages for match in _LEFT.finditer(message)}
    return sorted(f"{name}.{group}".rstrip(".") for name, group in found)


def held(resource: str, text: str) -> Iterator[HeldObject]:
    """Yield the objects with finalizers in the lines that `_METADATA` makes."""
    for line in text.splitlines():
        name, _, finalizers = line.partition("\t")
        if finalizers:
            yield HeldObject(resource=resource, name=name, finalizers=json.loads(finalizers))


def _ending(kubectl: Sequence[str], namespace: Manifest) -> EndingNamespace:
    metadata, messages = namespace["metadata"], reasons(namespace)
    name = metadata["name"]
    return EndingNamespace(
        name=name,
        tenant=metadata["labels"][TENANT_LABEL],
        since=metadata["deletionTimestamp"],
        reasons=messages,
        held=[item for kind in resources(messages) for item in _held(kubectl, kind, name)],
    )


def _held(kubectl: Sequence[str], resource: str, namespace: str) -> list[HeldObject]:
    try:
        # Only metadata is asked for, because a tenant's Secrets are none of our business.
        output = f"--output=jsonpath={_METADATA}"
        return list(held(resource, _get(kubectl, resource, f"--namespace={namespace}", output)))
    except CommandError:
        # A kind that cannot be listed is what the namespace waits for, and its reasons say so.
        return []


def _texts(namespace: EndingNamespace, kubectl: str) -> Iterator[str]:
    is_ending = (
        f"the namespace {namespace.name} of the tenant {namespace.tenant} has been Terminating "
        f"since {namespace.since}"
    )
    for item in namespace.held:
        object_name = f"{item.resource}/{item.name}"
        yield (
            f"{is_ending}, because {object_name} waits for {', '.join(item.finalizers)}; if nobody "
            f"will finish that, run: {kubectl} --namespace {namespace.name} patch {object_name} "
            f"--type merge --patch {_NO_FINALIZERS}"
        )
    if not namespace.held:
        because = f": {' '.join(namespace.reasons)}" if namespace.reasons else ""
        yield f"{is_ending}{because}; look at it: {kubectl} describe namespace {namespace.name}"


def _get(kubectl: Sequence[str], *args: str) -> str:
    request = ("--request-timeout=20s", "get", *args)
    return process.run([*kubectl, *request], timeout=_SECONDS)
