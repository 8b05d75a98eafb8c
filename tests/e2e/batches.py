"""Hostile tenants that attack side by side, each in a namespace of its own.

One comparison of the whole cluster serves a batch. If it finds a change, all attacks of the batch
fail, and the change's name tells which one it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.attacks import CLUSTER, Attack, attack_files
from tests.e2e.sandbox import Sandbox, Tenant
from tests.e2e.support import eventually

_APPLIED_BY = "kustomize.toolkit.fluxcd.io"
# All tenants of a batch wait for the same controllers.
_WAIT_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The result of one attack: Flux's answer, what it changed, and what is left of it."""

    tenant: Tenant
    applied: bool
    message: str
    confined: bool
    differences: Sequence[str]
    cleaned: tuple[bool, str]
    left: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Attacks by push, each by one of `tenants`.

    A batch runs when the result of one of its attacks is asked for. `hostile` are all tenants that
    may attack: objects of earlier attacks may still disappear.
    """

    hostile: Sequence[Tenant]
    tenants: Sequence[Tenant]
    attacks: Sequence[Attack]
    _attempts: dict[str, Callable[[], Attempt]] = field(default_factory=dict)

    def attempt(self, name: str) -> Attempt:
        """Return the result of an attack. Raises what the attempt raised."""
        if name not in self._attempts:
            names = [attack.name for attack in self.attacks]
            start = names.index(name) // len(self.tenants) * len(self.tenants)
            self._run(self.attacks[start : start + len(self.tenants)])
        return self._attempts[name]()

    def _run(self, attacks: Sequence[Attack]) -> None:
        with (
            ThreadPoolExecutor(max_workers=len(attacks)) as pool,
            comparison(self.hostile) as differences,
        ):
            tried = [pool.submit(_try, *each) for each in zip(self.tenants, attacks, strict=False)]
            wait(tried)
        with ThreadPoolExecutor(max_workers=len(attacks)) as pool:
            cleaned = [
                pool.submit(_clean_up, *each) for each in zip(self.tenants, attacks, strict=False)
            ]
        for number, attack in enumerate(attacks):
            self._attempts[attack.name] = _attempt(
                self.tenants[number], tried[number], cleaned[number], differences
            )


@contextmanager
def comparison(tenants: Sequence[Tenant]) -> Iterator[list[str]]:
    """Yield a list that, after the block, has the changes of objects that are not the tenants'."""
    sandbox = tenants[0].sandbox
    before = _of_others(sandbox, tenants)
    differences: list[str] = []
    yield differences
    after = _of_others(sandbox, tenants)
    differences += [
        f"{key}: {json.dumps(before.get(key))} became {json.dumps(after.get(key))}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def no_pod_message(tenant: Tenant, deployment: str) -> str:
    """Wait until a Deployment has failed to create a pod; return the reason."""
    sandbox, namespace = tenant.sandbox, tenant.namespace(CLUSTER)
    messages: list[str] = []

    def failed() -> bool:
        found = sandbox.get(CLUSTER, "deployment", namespace, deployment) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure":
                messages.append(condition["message"])
        return bool(messages)

    eventually(failed, _WAIT_SECONDS)
    assert sandbox.replicas(CLUSTER, namespace)[deployment] == 0
    return messages[0]


def _try(tenant: Tenant, attack: Attack) -> tuple[bool, str, bool]:
    """Return whether the attack was applied, the refusal, and whether it is confined."""
    pushed = tenant.push(attack_files(tenant, attack), attack.name)
    applied, message = tenant.wait(CLUSTER, pushed, _WAIT_SECONDS)
    if attack.refused_by:
        assert applied, message
        applied, message = False, no_pod_message(tenant, attack.refused_by)
    return applied, message, not _missing(tenant, attack)


def _clean_up(tenant: Tenant, attack: Attack) -> tuple[bool, str, Sequence[tuple[str, str]]]:
    """Return Flux's answer to the tenant's usual files, and what is left of the attack."""
    if len(attack.objects) > 1:
        # Flux does not remember what a failed apply has created, so the test deletes it.
        selector = f"{_APPLIED_BY}/name={tenant.kustomization}"
        tenant.sandbox.kubectl(
            CLUSTER, "delete", "configmaps", "--namespace", tenant.namespace(CLUSTER),
            f"--selector={selector}",
        )  # fmt: skip
    pushed = tenant.push(tenant.files([CLUSTER], "1"), "Clean up")
    applied, message = tenant.wait(CLUSTER, pushed, _WAIT_SECONDS)
    missing = _missing(tenant, attack)
    return applied, message, [one for one in attack.confined if one not in missing]


def _missing(tenant: Tenant, attack: Attack) -> list[tuple[str, str]]:
    """Return the confined objects that are not in the tenant's namespace."""
    namespace = tenant.namespace(CLUSTER)
    return [
        (kind, name)
        for kind, name in attack.confined
        if tenant.sandbox.get(CLUSTER, kind, namespace, name) is None
    ]


def _attempt(
    tenant: Tenant,
    tried: Future[tuple[bool, str, bool]],
    cleaned: Future[tuple[bool, str, Sequence[tuple[str, str]]]],
    differences: Sequence[str],
) -> Callable[[], Attempt]:
    def result() -> Attempt:
        applied, message, confined = tried.result()
        succeeded, reason, left = cleaned.result()
        return Attempt(
            tenant=tenant,
            applied=applied,
            message=message,
            confined=confined,
            differences=differences,
            cleaned=(succeeded, reason),
            left=left,
        )

    return result


def _of_others(sandbox: Sandbox, tenants: Sequence[Tenant]) -> dict[str, Any]:
    """Return the objects that are not the tenants' own, which they must not be able to change.

    In a tenant's namespace these are the objects that Flux has applied for anybody else.
    """
    own = {tenant.namespace(CLUSTER): tenant for tenant in tenants}

    def is_own(metadata: Mapping[str, Any]) -> bool:
        tenant = own.get(metadata.get("namespace", ""))
        if tenant is None:
            return False
        labels = metadata.get("labels", {})
        applied_by = (labels.get(f"{_APPLIED_BY}/namespace"), labels.get(f"{_APPLIED_BY}/name"))
        itself = (tenant.flux_namespace(CLUSTER), tenant.kustomization)
        return applied_by in ((None, None), itself)

    snapshot = sandbox.snapshot(CLUSTER)
    return {key: item for key, item in snapshot.items() if not is_own(item["metadata"])}
