"""A hostile tenant tries one attack at a time; each is refused, and nothing else changes.

The tenant is registered as any other; all it has is its repository. Two things are not tested:
NetworkPolicies have an effect only with a CNI, and kwok runs no containers. So the tests cover
what the API server lets a tenant create, but not what a running pod could do.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.process import run
from tests.e2e.attacks import (
    ACCOUNT,
    ATTACKS,
    CLUSTER,
    FOLDER,
    HOSTILE,
    NAMESPACE,
    VICTIM,
    Attack,
    Content,
    attack_files,
    cannot,
    marked,
    thing,
)
from tests.e2e.flux_attacks import ATTACKS_WITH_FLUX_KINDS, EVIL, EVIL_FILES, PLURALS
from tests.e2e.sandbox import Sandbox, Tenant
from tests.e2e.support import eventually

CLUSTERS = [CLUSTER]
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def hostile(sandbox: Sandbox) -> Iterator[Tenant]:
    """Register a hostile and a healthy tenant, each with an app that runs; remove both after."""
    pair = [Tenant(sandbox=sandbox, name=name) for name in (HOSTILE, VICTIM)]
    for tenant in pair:
        tenant.create([CLUSTER])
    sandbox.register(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for tenant in pair:
        tenant.expect_app(CLUSTER, "1")
    yield pair[0]
    sandbox.unregister(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for tenant in pair:
        tenant.expect_gone(CLUSTER)
        tenant.delete()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(hostile: Tenant, attack: Attack) -> None:
    """The attack is refused, or it changes only objects of the tenant itself."""
    before = _of_others(hostile.sandbox.snapshot(CLUSTER))
    tried = hostile.push(attack_files(hostile, attack), attack.name)
    applied, message = hostile.wait(CLUSTER, tried)
    if attack.refused_by:
        assert applied, message
        applied, message = False, _no_pod_message(hostile.sandbox, attack.refused_by)
    confined = all(
        hostile.sandbox.get(CLUSTER, kind, NAMESPACE, name) for kind, name in attack.confined
    )
    after = _of_others(hostile.sandbox.snapshot(CLUSTER))

    if len(attack.objects) > 1:
        # Flux does not remember what a failed apply has created, so the test deletes it.
        selector = f"kustomize.toolkit.fluxcd.io/name={hostile.kustomization}"
        hostile.sandbox.kubectl(
            CLUSTER, "delete", "configmaps", "--namespace", NAMESPACE, f"--selector={selector}"
        )
    cleaned = hostile.wait(CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Clean up"))
    print(f"\n{attack.name} | {'confined' if attack.confined else _short(message)}")

    assert _differences(before, after) == []
    if attack.confined:
        assert applied, message
        assert confined
    else:
        assert not applied
        assert re.search(attack.refused, message), message
    assert cleaned[0], cleaned[1]
    for kind, name in attack.confined:
        assert hostile.sandbox.get(CLUSTER, kind, NAMESPACE, name) is None


@pytest.mark.parametrize("attack", ATTACKS_WITH_FLUX_KINDS, ids=lambda attack: attack.name)
def test_flux_itself_refuses(hostile: Tenant, attack: Attack) -> None:
    """Flux refuses these objects even if a tenant could create them."""
    sandbox = hostile.sandbox
    files = dict(hostile.files([CLUSTER], "1")) | EVIL_FILES
    assert hostile.wait(CLUSTER, hostile.push(files, attack.name))[0]
    before = _of_others(sandbox.snapshot(CLUSTER))
    manifest = json.dumps(attack.objects[0])
    manifest = manifest.replace("VICTIM", sandbox.tenant_repository(VICTIM).url)
    log = sandbox.state / "logs" / f"{CLUSTER}-{attack.refused_by}.log"
    seen = log.stat().st_size if attack.refused_by else 0
    sandbox.kubectl(CLUSTER, "create", "--namespace", NAMESPACE, "-f", "-", stdin=manifest)
    kind, name = attack.objects[0]["kind"], attack.objects[0]["metadata"]["name"]
    messages: list[str] = []

    def refused() -> bool:
        if attack.refused_by:
            messages.extend(log.read_text()[seen:].splitlines())
        found = sandbox.get(CLUSTER, PLURALS[kind], NAMESPACE, name) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] == "False":
                messages.append(condition["message"])
        return any(re.search(attack.refused, message, re.DOTALL) for message in messages)

    try:
        eventually(refused, 20)
        after = _of_others(sandbox.snapshot(CLUSTER))
    finally:
        sandbox.kubectl(CLUSTER, "delete", PLURALS[kind], name, "--namespace", NAMESPACE)
        print(f"\nby Flux: {attack.name} | {_short(messages[-1] if messages else 'nothing')}")
    assert _differences(before, after) == []


@pytest.fixture(scope="module")
def hostile_in_flux_system(sandbox: Sandbox) -> Iterator[Tenant]:
    """Register a hostile tenant whose Flux objects are in flux-system, next to the platform's."""
    tenant = Tenant(sandbox=sandbox, name="trudy", in_flux_system=True)
    tenant.create([CLUSTER])
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    yield tenant
    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)
    tenant.delete()


@pytest.mark.parametrize(
    "name",
    [
        "a ClusterRoleBinding to cluster-admin",
        "a RoleBinding to cluster-admin",
        "an object in flux-system",
        "a Kustomization as the platform's account",
        "a Secret of flux-system by substituteFrom",
        "a path outside the repository",
    ],
)
def test_an_attack_from_flux_system_is_refused(hostile_in_flux_system: Tenant, name: str) -> None:
    """The tenant's account is in flux-system, but has no rights there."""
    tenant = hostile_in_flux_system
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    own = tenant.namespace(CLUSTER)
    before = _of_others(tenant.sandbox.snapshot(CLUSTER), tenant.name)
    applied, message = tenant.wait(CLUSTER, tenant.push(attack_files(tenant, attack), attack.name))
    confined = [tenant.sandbox.get(CLUSTER, kind, own, thing) for kind, thing in attack.confined]
    after = _of_others(tenant.sandbox.snapshot(CLUSTER), tenant.name)
    cleaned = tenant.wait(CLUSTER, tenant.push(tenant.files([CLUSTER], "1"), "Clean up"))
    print(f"\nfrom flux-system: {attack.name} | {_short(message) if not applied else 'confined'}")
    assert _differences(before, after) == []
    assert applied is bool(attack.confined), message
    assert all(confined)
    assert applied or re.search(attack.refused, message), message
    assert cleaned[0], cleaned[1]


def test_a_remote_base_is_cloned_but_not_read(hostile: Tenant, tmp_path: Path) -> None:
    """Kustomize reads only the tenant's files, because Flux runs with `--no-remote-bases`."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "kustomization.yaml").write_text("resources: [evil.yaml]\n")
    (base / "evil.yaml").write_text(EVIL)
    git = ["git", "-c", "user.name=m", "-c", "user.email=m@example.com", "-C", str(base)]
    run([*git, "init", "--quiet", "--initial-branch=main"], timeout=30)
    run([*git, "add", "--all"], timeout=30)
    run([*git, "commit", "--quiet", "--message=Base"], timeout=30)
    attack = Attack(
        name="a remote base",
        resources=(f"file://{base}?ref=main",),
        refused="is not in or below",
    )
    test_an_attack_is_refused(hostile, attack)


def test_a_file_by_http(hostile: Tenant) -> None:
    """Flux fetches the file, but applies it in the tenant's own namespace only.

    No flag stops kustomize-controller from requesting a tenant's address. A NetworkPolicy of
    flux-system does, on a cluster whose CNI supports it.
    """

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EVIL.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        attack = Attack(
            name="a file by http",
            resources=(f"http://127.0.0.1:{server.server_port}/evil.yaml",),
            confined=(("configmap", "evil"),),
        )
        try:
            test_an_attack_is_refused(hostile, attack)
        finally:
            server.shutdown()


def test_a_file_of_100_mb(hostile: Tenant) -> None:
    """A file of GitHub's largest size costs Flux time, but does not stop other tenants."""
    folder = hostile.files([CLUSTER], "1")
    _expect_only_time(hostile, {**folder, "big.bin": os.urandom(100 * MEBIBYTE)}, applied=True)


def test_a_manifest_of_100_mb(hostile: Tenant) -> None:
    """The API server refuses a ConfigMap of this size."""
    manifest = attack_files(hostile, Attack(name="", resources=("big.yaml",)))
    text = yaml.safe_dump(thing("v1", "ConfigMap", "big")) + "data:\n  a: " + "a" * 100 * MEBIBYTE
    message = _expect_only_time(hostile, {**manifest, f"{FOLDER}/big.yaml": text}, applied=False)
    assert re.search("too large|too long|limit is", message), message


def test_a_platform_object_in_the_inventory(hostile: Tenant) -> None:
    """Flux skips an object marked "do not reconcile", and later may not prune it.

    The tenant only stops its own Kustomization. It must be the last test, because only removing
    the tenant repairs that; the end of the fixture does so.
    """
    sandbox = hostile.sandbox
    before = _of_others(sandbox.snapshot(CLUSTER))
    marks = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    account = marked(thing("v1", "ServiceAccount", ACCOUNT), annotations=marks)
    files = attack_files(hostile, Attack(name="", objects=(account,)))
    assert hostile.wait(CLUSTER, hostile.push(files, "Mark"))[0]
    after = _of_others(sandbox.snapshot(CLUSTER))
    applied, message = hostile.wait(
        CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Have it pruned")
    )
    print(f"\na platform object in the inventory | {_short(message)}")
    assert not applied
    assert "delete failed" in message
    assert re.search(cannot("(get|delete)", "serviceaccounts"), message)
    assert _differences(before, after) == []
    assert _differences(before, _of_others(sandbox.snapshot(CLUSTER))) == []


def _expect_only_time(hostile: Tenant, files: Mapping[str, Content], *, applied: bool) -> str:
    """Assert that a large push changes no other object and stops no other tenant."""
    sandbox = hostile.sandbox
    victim = Tenant(sandbox=sandbox, name=VICTIM)
    before = _of_others(sandbox.snapshot(CLUSTER))
    big = hostile.push(files, "Large")
    started = time.monotonic()
    sandbox.reconcile(CLUSTER, "gitrepository", NAMESPACE, hostile.source)
    assert victim.wait(CLUSTER, victim.push(victim.files([CLUSTER], "1"), "Meanwhile"), 120)[0]
    print(f"\nanother tenant's push took {time.monotonic() - started:.1f} s meanwhile")
    done, message = hostile.wait(CLUSTER, big, 240)
    print(f"100 MB: {time.monotonic() - started:.1f} s: {_short(message)}")
    for controller in ("source-controller", "kustomize-controller"):
        status = Path(
            f"/proc/{sandbox.processes.pid(f'{CLUSTER}-{controller}')}/status"
        ).read_text()
        print(controller, *re.findall(r"VmHWM:\s+(.*)", status), "at most")
    assert done is applied, message
    after = _of_others(sandbox.snapshot(CLUSTER))
    cleaned = hostile.wait(CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Clean up"), 120)
    assert _differences(before, after) == []
    assert cleaned[0], cleaned[1]
    return message


def _no_pod_message(sandbox: Sandbox, deployment: str) -> str:
    """Wait until a Deployment has failed to create a pod; return the reason."""
    messages: list[str] = []

    def failed() -> bool:
        found = sandbox.get(CLUSTER, "deployment", NAMESPACE, deployment) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure":
                messages.append(condition["message"])
        return bool(messages)

    eventually(failed, 30)
    assert sandbox.replicas(CLUSTER, NAMESPACE)[deployment] == 0
    return messages[0]


def _of_others(objects: Mapping[str, Any], name: str = HOSTILE) -> dict[str, Any]:
    """Return the objects that are not the tenant's own, which it must not be able to change.

    In the tenant's namespace these are the platform's objects, which carry Flux's labels.
    """

    def own(metadata: Mapping[str, Any]) -> bool:
        labels = metadata.get("labels", {})
        return metadata.get("namespace") == f"{name}-{CLUSTER}" and (
            labels.get("kustomize.toolkit.fluxcd.io/namespace") != "flux-system"
            or labels["kustomize.toolkit.fluxcd.io/name"] == f"{name}-apps"
        )

    return {key: item for key, item in objects.items() if not own(item["metadata"])}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {json.dumps(before.get(key))} became {json.dumps(after.get(key))}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _short(message: str) -> str:
    return re.sub(r"\s+", " ", message)[:300]
