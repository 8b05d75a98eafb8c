"""Hostile tenants try one attack each, side by side; each is refused, and nothing else changes.

The tenants are registered as any other; all they have is a repository. Two things are not tested:
NetworkPolicies have an effect only with a CNI, and kwok runs no containers. So the tests cover
what the API server lets a tenant create, but not what a running pod could do.
"""

from __future__ import annotations

import json
import os
import re
import resource
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import yaml

from fleet.process import run
from fleet.render.flux import TENANTS_CONTROLLER
from tests.e2e.attacks import (
    ACCOUNT,
    ATTACKS,
    CLUSTER,
    FOLDER,
    HOSTILE,
    VICTIM,
    Attack,
    Content,
    attack_files,
    by,
    cannot,
    marked,
    thing,
)
from tests.e2e.batches import Batches, comparison
from tests.e2e.flux_attacks import ATTACKS_WITH_FLUX_KINDS, EVIL, EVIL_FILES, PLURALS
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox, Tenant
from tests.e2e.support import eventually
from tests.kube.test_yaml_reader import aliases

pytestmark = pytest.mark.long
CLUSTERS = [CLUSTER]
MINUTES = 7
SIDE_BY_SIDE = len(ATTACKS_WITH_FLUX_KINDS)
REMOTE_BASE, BY_HTTP = "a remote base", "a file by http"
FROM_FLUX_SYSTEM = (
    "a ClusterRoleBinding to cluster-admin",
    "a RoleBinding to cluster-admin",
    "an object in flux-system",
    "a Kustomization as the platform's account",
    "a Secret of flux-system by substituteFrom",
    "a path outside the repository",
)
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def tenants(sandbox: Sandbox) -> Iterator[dict[str, Tenant]]:
    """Register hostile tenants and a healthy one, each with an app that runs; remove all after.

    The Flux objects of those named trudy are in flux-system, next to the platform's.
    """
    names = [VICTIM, *(f"{HOSTILE}-{number}" for number in range(SIDE_BY_SIDE)), "wendy", "oscar"]
    inside = [f"trudy-{number}" for number in range(len(FROM_FLUX_SYSTEM))]
    everybody = [
        *(Tenant(sandbox=sandbox, name=name) for name in names),
        *(Tenant(sandbox=sandbox, name=name, in_flux_system=True) for name in inside),
    ]
    for tenant in everybody:
        tenant.create([CLUSTER])
    sandbox.register(CLUSTER, *everybody)
    sandbox.up(CLUSTER)
    for tenant in everybody:
        tenant.expect_app(CLUSTER, "1")
    yield {tenant.name: tenant for tenant in everybody}
    sandbox.unregister(CLUSTER, *everybody)
    sandbox.up(CLUSTER)
    for tenant in everybody:
        tenant.expect_gone(CLUSTER)
        tenant.delete()


@pytest.fixture(scope="module")
def hostile(tenants: Mapping[str, Tenant]) -> list[Tenant]:
    """All tenants but the healthy one. What is not theirs must stay as it is."""
    return [tenant for tenant in tenants.values() if tenant.name != VICTIM]


@pytest.fixture(scope="module")
def attackers(hostile: list[Tenant]) -> list[Tenant]:
    """The hostile tenants that attack side by side, with Flux objects in their own namespaces."""
    return [tenant for tenant in hostile if tenant.name.startswith(HOSTILE)]


@pytest.fixture(scope="module")
def batches(
    hostile: list[Tenant],
    attackers: list[Tenant],
    tmp_path_factory: pytest.TempPathFactory,
    page: str,
) -> Batches:
    """All attacks by push."""
    base = tmp_path_factory.mktemp("remote") / "base"
    base.mkdir()
    (base / "kustomization.yaml").write_text("resources: [evil.yaml]\n")
    (base / "evil.yaml").write_text(EVIL)
    git = ["git", "-c", "user.name=m", "-c", "user.email=m@example.com", "-C", str(base)]
    run([*git, "init", "--quiet", "--initial-branch=main"], timeout=30)
    run([*git, "add", "--all"], timeout=30)
    run([*git, "commit", "--quiet", "--message=Base"], timeout=30)
    remote_base = Attack(
        name=REMOTE_BASE,
        resources=(f"file://{base}?ref=main",),
        refused="is not in or below",
    )
    by_http = Attack(name=BY_HTTP, resources=(page,), confined=(("configmap", "evil"),))
    attacks = [*ATTACKS, remote_base, by_http]
    return Batches(hostile=hostile, tenants=attackers, attacks=attacks)


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a manifest for the victim's namespace."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EVIL.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/evil.yaml"
        server.shutdown()


@pytest.fixture(scope="module")
def batches_from_flux_system(hostile: list[Tenant]) -> Batches:
    """Some of the attacks, from tenants whose account is in flux-system."""
    return Batches(
        hostile=hostile,
        tenants=[tenant for tenant in hostile if tenant.in_flux_system],
        attacks=[attack for attack in ATTACKS if attack.name in FROM_FLUX_SYSTEM],
    )


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(batches: Batches, attack: Attack) -> None:
    """The attack is refused, or it changes only objects of the tenant itself."""
    _expect_refusal(batches, attack.name)


def test_a_remote_base_is_cloned_but_not_read(batches: Batches) -> None:
    """Kustomize reads only the tenant's files, because Flux runs with `--no-remote-bases`."""
    _expect_refusal(batches, REMOTE_BASE)


def test_a_file_by_http(batches: Batches) -> None:
    """Flux fetches the file, but applies it in the tenant's own namespace only.

    No flag stops kustomize-controller from requesting a tenant's address. A NetworkPolicy of
    flux-system does, on a cluster whose CNI supports it.
    """
    _expect_refusal(batches, BY_HTTP)


@pytest.mark.parametrize("name", FROM_FLUX_SYSTEM)
def test_an_attack_from_flux_system_is_refused(
    batches_from_flux_system: Batches, name: str
) -> None:
    """The tenant's account is in flux-system, but has no rights there."""
    _expect_refusal(batches_from_flux_system, name)


@pytest.fixture(scope="module")
def refusals_by_flux(
    hostile: list[Tenant], attackers: list[Tenant]
) -> tuple[dict[str, Future[None]], list[str]]:
    """The results of all attacks with Flux's kinds, and what changed besides the tenants."""
    with ThreadPoolExecutor(max_workers=len(attackers)) as pool:
        for done in [pool.submit(_offer_evil_files, tenant) for tenant in attackers]:
            done.result()
        with ExitStack() as created, comparison(hostile) as differences:
            results = {
                attack.name: pool.submit(_expect_refusal_by_flux, tenant, attack, created)
                for tenant, attack in zip(attackers, ATTACKS_WITH_FLUX_KINDS, strict=True)
            }
            wait(results.values())
    return results, differences


@pytest.mark.parametrize("attack", ATTACKS_WITH_FLUX_KINDS, ids=lambda attack: attack.name)
def test_flux_itself_refuses(
    refusals_by_flux: tuple[Mapping[str, Future[None]], list[str]], attack: Attack
) -> None:
    """Flux refuses these objects even if a tenant could create them."""
    results, differences = refusals_by_flux
    results[attack.name].result()
    assert differences == []


def test_a_file_of_100_mb(hostile: list[Tenant]) -> None:
    """A file of GitHub's largest size costs Flux time, but does not stop other tenants."""
    usual: dict[str, Content] = dict(hostile[0].files([CLUSTER], "1"))
    _expect_only_time(hostile, usual | {"big.bin": os.urandom(100 * MEBIBYTE)}, applied=True)


def test_a_manifest_of_100_mb(hostile: list[Tenant]) -> None:
    """The API server refuses a ConfigMap of this size."""
    manifest = attack_files(hostile[0], Attack(name="", resources=("big.yaml",)))
    text = yaml.safe_dump(thing("v1", "ConfigMap", "big")) + "data:\n  a: " + "a" * 100 * MEBIBYTE
    big = {f"{FOLDER}/big.yaml": text}
    message = _expect_only_time(hostile, manifest | big, applied=False)
    assert re.search("too large|too long|limit is", message), message


def test_yaml_aliases_stop_no_change_of_the_platform(tenants: Mapping[str, Tenant]) -> None:
    """Some 600 bytes end the controller that builds them, and that is the tenants' own one.

    So the platform can suspend this tenant as it does every change, by Git.
    """
    tenant, victim = tenants["oscar"], tenants[VICTIM]
    sandbox = tenant.sandbox
    controller = f"{CLUSTER}-{TENANTS_CONTROLLER}"
    pid = sandbox.processes.pid(controller)
    # Here nothing enforces the limit of the container, which is 1 Gi.
    limit = psutil.Process(pid).memory_info().vms + 1024 * MEBIBYTE
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    manifest = attack_files(tenant, Attack(name="", resources=("aliases.yaml",)))
    text = yaml.safe_dump(thing("v1", "ConfigMap", "aliases")) + aliases(9)
    tenant.push(manifest | {f"{FOLDER}/aliases.yaml": text}, "Aliases")
    started = time.monotonic()
    sandbox.reconcile(CLUSTER, "gitrepository", tenant.namespace(CLUSTER), tenant.source)
    eventually(lambda: not sandbox.processes.is_running(controller), 180)
    print(f"\nthe tenants' controller ended after {time.monotonic() - started:.1f} s")
    sandbox.change_tenant(CLUSTER, tenant, suspend=True)
    sandbox.stacks.up([CLUSTER])
    eventually(lambda: _is_suspended(tenant), 60)
    sandbox.start_controllers(CLUSTER)
    assert victim.wait(CLUSTER, victim.push(victim.files([CLUSTER], "1"), "After"), 120)[0]


def test_a_platform_object_in_the_inventory(
    hostile: list[Tenant], tenants: Mapping[str, Tenant]
) -> None:
    """Flux skips an object marked "do not reconcile", and later may not prune it.

    The tenant only stops its own Kustomization. Only removing the tenant repairs that, so this
    tenant does nothing else; the end of the fixture removes it.
    """
    tenant = tenants["wendy"]
    marks = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    account = marked(thing("v1", "ServiceAccount", ACCOUNT), annotations=marks)
    files = attack_files(tenant, Attack(name="", objects=(account,)))
    with comparison(hostile) as when_pruned:
        with comparison(hostile) as when_marked:
            assert tenant.wait(CLUSTER, tenant.push(files, "Mark"))[0]
        applied, message = tenant.wait(
            CLUSTER, tenant.push(tenant.files([CLUSTER], "1"), "Have it pruned")
        )
    print(f"\na platform object in the inventory | {_short(message)}")
    assert not applied
    assert "delete failed" in message
    assert re.search(cannot("(get|delete)", "serviceaccounts"), message)
    assert when_marked == []
    assert when_pruned == []


def _expect_refusal(batches: Batches, name: str) -> None:
    """Assert what refused an attack, that nothing else changed, and that nothing is left."""
    (attack,) = (attack for attack in batches.attacks if attack.name == name)
    attempt = batches.attempt(name)
    message = attempt.message
    print(f"\n{attack.name} | {'confined' if attack.confined else _short(message)}")
    assert attempt.differences == []
    if attack.confined:
        assert attempt.applied, message
        assert attempt.confined
    else:
        assert not attempt.applied
        assert re.search(by(attempt.tenant, attack.refused), message), message
    assert attempt.cleaned[0], attempt.cleaned[1]
    assert attempt.left == []


def _offer_evil_files(tenant: Tenant) -> None:
    """Push what the objects of Flux's kinds are to apply."""
    files = dict(tenant.files([CLUSTER], "1")) | EVIL_FILES
    assert tenant.wait(CLUSTER, tenant.push(files, "Evil files"))[0]


def _expect_refusal_by_flux(tenant: Tenant, attack: Attack, created: ExitStack) -> None:
    """Create an object of a Flux kind and assert that Flux refuses it."""
    sandbox, namespace = tenant.sandbox, tenant.namespace(CLUSTER)
    manifest = by(tenant, json.dumps(attack.objects[0]))
    manifest = manifest.replace("VICTIM", sandbox.tenant_repository(VICTIM).url)
    log = sandbox.state / "logs" / f"{CLUSTER}-{attack.refused_by}.log"
    seen = log.stat().st_size if attack.refused_by else 0
    sandbox.kubectl(CLUSTER, "create", "--namespace", namespace, "-f", "-", stdin=manifest)
    kind, name = attack.objects[0]["kind"], attack.objects[0]["metadata"]["name"]
    created.callback(
        sandbox.kubectl, CLUSTER, "delete", PLURALS[kind], name, "--namespace", namespace
    )
    messages: list[str] = []

    def refused() -> bool:
        if attack.refused_by:
            lines = log.read_text()[seen:].splitlines()
            messages.extend(line for line in lines if namespace in line)
        found = sandbox.get(CLUSTER, PLURALS[kind], namespace, name) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] == "False":
                messages.append(condition["message"])
        pattern = by(tenant, attack.refused)
        return any(re.search(pattern, message, re.DOTALL) for message in messages)

    try:
        eventually(refused, 60)
    finally:
        print(f"\nby Flux: {attack.name} | {_short(messages[-1] if messages else 'nothing')}")


def _expect_only_time(hostile: list[Tenant], files: Mapping[str, Content], *, applied: bool) -> str:
    """Assert that a large push changes no other object and stops no other tenant."""
    tenant, sandbox = hostile[0], hostile[0].sandbox
    victim = Tenant(sandbox=sandbox, name=VICTIM)
    with comparison(hostile) as differences:
        big = tenant.push(files, "Large")
        started = time.monotonic()
        sandbox.reconcile(CLUSTER, "gitrepository", tenant.namespace(CLUSTER), tenant.source)
        assert victim.wait(CLUSTER, victim.push(victim.files([CLUSTER], "1"), "Meanwhile"), 120)[0]
        print(f"\nanother tenant's push took {time.monotonic() - started:.1f} s meanwhile")
        done, message = tenant.wait(CLUSTER, big, 240)
        print(f"100 MB: {time.monotonic() - started:.1f} s: {_short(message)}")
    for controller in ("source-controller", TENANTS_CONTROLLER):
        status = Path(
            f"/proc/{sandbox.processes.pid(f'{CLUSTER}-{controller}')}/status"
        ).read_text()
        print(controller, *re.findall(r"VmHWM:\s+(.*)", status), "at most")
    assert done is applied, message
    cleaned = tenant.wait(CLUSTER, tenant.push(tenant.files([CLUSTER], "1"), "Clean up"), 120)
    assert differences == []
    assert cleaned[0], cleaned[1]
    return message


def _is_suspended(tenant: Tenant) -> bool:
    namespace = tenant.namespace(CLUSTER)
    found = tenant.sandbox.get(CLUSTER, KUSTOMIZATIONS, namespace, tenant.kustomization) or {}
    return bool(found["spec"].get("suspend"))


def _short(message: str) -> str:
    return re.sub(r"\s+", " ", message)[:300]
