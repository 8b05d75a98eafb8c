"""A hostile team, one attack at a time: what refuses it, and that nothing else changes.

The team is registered as any other; all it has is its repository. What cannot be shown here:
NetworkPolicies need a CNI to have any effect, and kwok runs no containers, so what a *running* pod
could do is not tried, only what the API server lets a team create.
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
from sandbox import tenant_repositories
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
from tests.e2e.flux_attacks import BEHIND, EVIL, EVIL_FILES, PLURALS
from tests.e2e.sandbox import Sandbox, Team
from tests.e2e.support import eventually

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def hostile(sandbox: Sandbox) -> Iterator[Team]:
    """A hostile team beside a healthy one, both with an app that runs; gone again at the end."""
    pair = [Team(sandbox=sandbox, name=name) for name in (HOSTILE, VICTIM)]
    for team in pair:
        team.create([CLUSTER])
    sandbox.register(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for team in pair:
        team.expect_app(CLUSTER, "1")
    yield pair[0]
    sandbox.unregister(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for team in pair:
        team.expect_gone(CLUSTER)
        team.delete()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(hostile: Team, attack: Attack) -> None:
    """What is refused, by what, and that nothing but the team's own objects has changed."""
    before = _of_others(hostile.sandbox.snapshot(CLUSTER))
    tried = hostile.push(attack_files(hostile, attack), attack.name)
    applied, message = hostile.wait(CLUSTER, tried)
    if attack.says:
        assert applied, message
        applied, message = False, _no_pod_message(hostile.sandbox, attack.says)
    confined = all(
        hostile.sandbox.get(CLUSTER, kind, NAMESPACE, name) for kind, name in attack.confined
    )
    after = _of_others(hostile.sandbox.snapshot(CLUSTER))

    if len(attack.objects) > 1:
        # Flux keeps no account of what a failed apply left: the team's own to remove.
        left = f"kustomize.toolkit.fluxcd.io/name={hostile.kustomization}"
        hostile.sandbox.kubectl(
            CLUSTER, "delete", "configmaps", "--namespace", NAMESPACE, f"--selector={left}"
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


@pytest.mark.parametrize("attack", BEHIND, ids=lambda attack: attack.name)
def test_the_fence_behind_the_fence(hostile: Team, attack: Attack) -> None:
    """Would a team have Flux's kinds, by a mistake in its rights: Flux itself refuses them."""
    sandbox = hostile.sandbox
    files = dict(hostile.files([CLUSTER], "1")) | EVIL_FILES
    assert hostile.wait(CLUSTER, hostile.push(files, attack.name))[0]
    before = _of_others(sandbox.snapshot(CLUSTER))
    manifest = json.dumps(attack.objects[0])
    manifest = manifest.replace("VICTIM", tenant_repositories.url(sandbox.state, VICTIM))
    log = sandbox.state / "logs" / f"{CLUSTER}-{attack.says}.log"
    seen = log.stat().st_size if attack.says else 0
    sandbox.kubectl(CLUSTER, "create", "--namespace", NAMESPACE, "-f", "-", stdin=manifest)
    kind, name = attack.objects[0]["kind"], attack.objects[0]["metadata"]["name"]
    said: list[str] = []

    def refused() -> bool:
        if attack.says:  # that refusal is not in the object's status
            said.extend(log.read_text()[seen:].splitlines())
        found = sandbox.get(CLUSTER, PLURALS[kind], NAMESPACE, name) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] == "False":
                said.append(condition["message"])
        return any(re.search(attack.refused, message, re.DOTALL) for message in said)

    try:
        eventually(refused, 20)
        after = _of_others(sandbox.snapshot(CLUSTER))
    finally:
        sandbox.kubectl(CLUSTER, "delete", PLURALS[kind], name, "--namespace", NAMESPACE)
        print(f"\nbehind: {attack.name} | {_short(said[-1] if said else 'nothing')}")
    assert _differences(before, after) == []


@pytest.fixture(scope="module")
def hostile_in_flux_system(sandbox: Sandbox) -> Iterator[Team]:
    """A hostile team whose source, account and Kustomization are among the platform's."""
    team = Team(sandbox=sandbox, name="trudy", in_flux_system=True)
    team.create([CLUSTER])
    sandbox.register(CLUSTER, team)
    sandbox.up(CLUSTER)
    team.expect_app(CLUSTER, "1")
    yield team
    sandbox.unregister(CLUSTER, team)
    sandbox.up(CLUSTER)
    team.expect_gone(CLUSTER)
    team.delete()


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
def test_an_attack_from_flux_system_is_refused(hostile_in_flux_system: Team, name: str) -> None:
    """The account is in flux-system, its rights are not."""
    team = hostile_in_flux_system
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    own = team.namespace(CLUSTER)
    before = _of_others(team.sandbox.snapshot(CLUSTER), team.name)
    applied, message = team.wait(CLUSTER, team.push(attack_files(team, attack), attack.name))
    confined = [team.sandbox.get(CLUSTER, kind, own, thing) for kind, thing in attack.confined]
    after = _of_others(team.sandbox.snapshot(CLUSTER), team.name)
    cleaned = team.wait(CLUSTER, team.push(team.files([CLUSTER], "1"), "Clean up"))
    print(f"\nfrom flux-system: {attack.name} | {_short(message) if not applied else 'confined'}")
    assert _differences(before, after) == []
    assert applied is bool(attack.confined), message
    assert all(confined)
    assert applied or re.search(attack.refused, message), message
    assert cleaned[0], cleaned[1]


def test_a_remote_base_is_cloned_but_not_read(hostile: Team, tmp_path: Path) -> None:
    """`--no-remote-bases` keeps kustomize to the team's files, whatever Git could fetch."""
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


def test_a_file_by_http(hostile: Team) -> None:
    """Flux fetches it, flag or not; what it brings is applied in the team's own namespace only.

    No API keeps a team from having kustomize-controller ask an address: that is for a NetworkPolicy
    of flux-system, on a cluster whose CNI has them.
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


def test_a_file_of_100_mb(hostile: Team) -> None:
    """Flux limits no file, GitHub refuses more than 100 MiB: it costs time, others go on."""
    folder = hostile.files([CLUSTER], "1")
    _expect_only_time(hostile, {**folder, "big.bin": os.urandom(100 * MEBIBYTE)}, applied=True)


def test_a_manifest_of_100_mb(hostile: Team) -> None:
    """What a ConfigMap may hold is the API server's to say."""
    manifest = attack_files(hostile, Attack(name="", resources=("big.yaml",)))
    text = yaml.safe_dump(thing("v1", "ConfigMap", "big")) + "data:\n  a: " + "a" * 100 * MEBIBYTE
    message = _expect_only_time(hostile, {**manifest, f"{FOLDER}/big.yaml": text}, applied=False)
    assert re.search("too large|too long|limit is", message), message


def test_the_fence_in_the_inventory(hostile: Team) -> None:
    """The last: what is marked "do not reconcile" Flux passes over, and later cannot prune.

    The team has locked itself out, nobody else, and it is removed like any other: the fixture's
    end shows that.
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
    print(f"\nthe fence in the inventory | {_short(message)}")
    assert not applied
    assert "delete failed" in message
    assert re.search(cannot("(get|delete)", "serviceaccounts"), message)
    assert _differences(before, after) == []
    assert _differences(before, _of_others(sandbox.snapshot(CLUSTER))) == []


def _expect_only_time(hostile: Team, files: Mapping[str, Content], *, applied: bool) -> str:
    """Assert that a large push changes nothing of others', and that they go on; say how long."""
    sandbox = hostile.sandbox
    victim = Team(sandbox=sandbox, name=VICTIM)
    before = _of_others(sandbox.snapshot(CLUSTER))
    big = hostile.push(files, "Large")
    started = time.monotonic()
    sandbox.reconcile(CLUSTER, "gitrepository", NAMESPACE, hostile.source)
    assert victim.wait(CLUSTER, victim.push(victim.files([CLUSTER], "1"), "Meanwhile"), 120)[0]
    print(f"\nanother team's push took {time.monotonic() - started:.1f} s meanwhile")
    done, message = hostile.wait(CLUSTER, big, 240)
    print(f"100 MB: {time.monotonic() - started:.1f} s: {_short(message)}")
    for controller in ("source-controller", "kustomize-controller"):
        status = Path(f"/proc/{sandbox.pid(f'{CLUSTER}-{controller}')}/status").read_text()
        print(controller, *re.findall(r"VmHWM:\s+(.*)", status), "at most")
    assert done is applied, message
    after = _of_others(sandbox.snapshot(CLUSTER))
    cleaned = hostile.wait(CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Clean up"), 120)
    assert _differences(before, after) == []
    assert cleaned[0], cleaned[1]
    return message


def _no_pod_message(sandbox: Sandbox, deployment: str) -> str:
    """Wait until a Deployment has failed to have a pod; return why."""
    said: list[str] = []

    def failed() -> bool:
        found = sandbox.get(CLUSTER, "deployment", NAMESPACE, deployment) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure":
                said.append(condition["message"])
        return bool(said)

    eventually(failed, 30)
    assert sandbox.replicas(CLUSTER, NAMESPACE)[deployment] == 0
    return said[0]


def _of_others(objects: Mapping[str, Any], name: str = HOSTILE) -> dict[str, Any]:
    """Return what is not a team's own: all that it must not be able to change.

    In the team's namespace that is what the platform put there, which Flux labels as its own.
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
