"""Tenants are added, changed and removed by a few lines in stack files."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fleet.process import run
from sandbox.report import is_ready
from tests.e2e.sandbox import KUSTOMIZATIONS, NAMES, Sandbox, Tenant
from tests.e2e.support import eventually, kill_tree, watching

HEALTHY = 9


@pytest.fixture(scope="module")
def billing(sandbox: Sandbox) -> Iterator[Tenant]:
    """Create a tenant with an app for all three clusters, not registered in any of them."""
    tenant = Tenant(sandbox=sandbox, name="billing")
    tenant.create(NAMES)
    yield tenant
    tenant.delete()


def test_onboarding_in_three_clusters(sandbox: Sandbox, billing: Tenant) -> None:
    """A small edit in each stack file and one `up` run the app in <tenant>-<environment>."""
    head = sandbox.head()
    for name in NAMES:
        before = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        sandbox.register(name, billing)
        after = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        assert len(after) - len(before) <= 8
    started = time.monotonic()
    sandbox.stacks.up(NAMES)
    ended = time.monotonic()
    waiting = {*NAMES}
    while waiting:
        for name in sorted(waiting):
            if sandbox.replicas(name, billing.namespace(name)) == {"app": 1}:
                waiting.discard(name)
                print(f"\n{name}: applied {time.monotonic() - ended:.1f} s after the end of `up`")
        assert time.monotonic() - ended < 120, f"not in time: {waiting}"
        time.sleep(0.2)
    print(f"`up` in three clusters: {ended - started:.1f} s")
    print(*sandbox.commits(head), sep="\n")
    sandbox.converge()
    for name in NAMES:
        billing.expect_app(name, "1")


def test_a_second_up_with_tenants_changes_nothing(sandbox: Sandbox, billing: Tenant) -> None:
    head, calls = sandbox.head(), sandbox.github_calls()
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))
    assert sandbox.head() == head
    print(f"\nan `up` without a change: {(sandbox.github_calls() - calls) / 3:.0f} calls of GitHub")


def test_a_push_of_a_tenant_is_applied(sandbox: Sandbox, billing: Tenant) -> None:
    """A push to the folder of one environment changes only that one; the platform does nothing."""
    head = sandbox.head()
    files = billing.files(NAMES, "1") | billing.files(["dev"], "2")
    pushed = billing.push(files, "Version 2 in dev")
    for name in NAMES:
        assert billing.wait(name, pushed)[0]
        billing.expect_app(name, "2" if name == "dev" else "1")
    assert sandbox.head() == head


def test_the_credential_reads_one_repository_only(sandbox: Sandbox, billing: Tenant) -> None:
    """A tenant's credential opens its own repository, but no other tenant's or the platform's."""
    other = Tenant(sandbox=sandbox, name="other")
    other.create(["dev"])
    try:
        own = sandbox.tenant_repository("billing").token
        for url, opens in (
            (sandbox.tenant_repository("billing").url, True),
            (sandbox.tenant_repository("other").url, False),
            (sandbox.platform_repository.url, False),
        ):
            assert sandbox.github.can_clone(url, own) is opens
    finally:
        other.delete()


def test_tokens_of_tenants_are_nowhere_in_plain_text(sandbox: Sandbox, billing: Tenant) -> None:
    """The state, logs, stack files, Git and command lines have no token of a tenant."""
    token = sandbox.tenant_repository("billing").token
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *(sandbox.state / "processes").rglob("*"),
        *(sandbox.state / "tenants").rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        assert not place.is_file() or token.encode() not in place.read_bytes(), place
    history = sandbox.platform_repository.git("log", "--all", "--patch", "--format=%B")
    assert token not in history
    assert token not in run(["ps", "-A", "-o", "args"], timeout=30)


def test_a_broken_tenant_fails_alone(sandbox: Sandbox, billing: Tenant) -> None:
    """A broken folder, a missing folder and a deleted repository disturb none of nine others."""
    healthy = [Tenant(sandbox=sandbox, name=f"tenant-{number}") for number in range(HEALTHY)]
    broken = Tenant(sandbox=sandbox, name="broken")
    for tenant in (*healthy, broken):
        tenant.create(["dev"])
    calls, head, started = sandbox.github_calls(), sandbox.head(), time.monotonic()
    sandbox.register("dev", *healthy, broken)
    sandbox.stacks.up(["dev"])
    print(
        f"\n`up` with {HEALTHY + 1} more tenants: {time.monotonic() - started:.1f} s, "
        f"{sandbox.github_calls() - calls} calls of GitHub, {len(sandbox.commits(head))} commits"
    )
    sandbox.converge()
    for tenant in (*healthy, broken):
        tenant.expect_app("dev", "1")

    pushed = broken.push({"deploy/dev/kustomization.yaml": "resources: [nothing.yaml]\n"}, "Break")
    assert not broken.wait("dev", pushed)[0]
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    pushed = broken.push({"deploy/test/kustomization.yaml": "resources: []\n"}, "No such folder")
    eventually(lambda: not _kustomization_is_ready(sandbox, broken))
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    broken.delete()
    sandbox.reconcile("dev", "gitrepository", "broken-dev", broken.source)
    eventually(
        lambda: (
            not is_ready(
                sandbox.get("dev", "gitrepository", "broken-dev", broken.source) or {"metadata": {}}
            )
        )
    )
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    # All of them are removed at once, one of them with its repository already deleted.
    started = time.monotonic()
    sandbox.unregister("dev", *healthy, broken)
    sandbox.stacks.up(["dev"])
    print(f"`up` without them again: {time.monotonic() - started:.1f} s")
    sandbox.converge()
    for tenant in (*healthy, broken):
        tenant.expect_gone("dev")
    print(f"all of them gone after {time.monotonic() - started:.1f} s")
    for tenant in healthy:
        tenant.delete()
    billing.expect_app("dev", "2")


def test_a_renamed_namespace_is_there_before_the_old_one_goes(
    sandbox: Sandbox, billing: Tenant
) -> None:
    """The app stays in the old namespace until the new one has its Kustomization."""
    tenant = Tenant(sandbox=sandbox, name="nomad")
    tenant.create(["test"])
    sandbox.register("test", tenant)
    sandbox.up("test")
    tenant.expect_app("test", "1")
    sandbox.change_tenant("test", tenant, namespace="nomad-abroad")
    seen: list[tuple[bool, bool]] = []
    with watching(
        lambda: seen.append((_app_in(sandbox, "nomad-test"), _has_kustomization(sandbox)))
    ):
        sandbox.up("test")
        eventually(lambda: sandbox.replicas("test", "nomad-abroad") == {"app": 1})
        eventually(lambda: "nomad-test" not in sandbox.namespaces("test"))
    assert (True, False) in seen
    assert (False, False) not in seen
    assert seen[-1] == (False, True)

    # With keep, the old namespace stays after the next rename, until a person deletes it.
    sandbox.change_tenant("test", tenant, keep=True)
    sandbox.up("test")
    sandbox.change_tenant("test", tenant, namespace="nomad-test")
    sandbox.up("test")
    tenant.expect_app("test", "1")
    assert sandbox.replicas("test", "nomad-abroad") == {"app": 1}
    sandbox.kubectl("test", "delete", "namespace", "nomad-abroad")

    sandbox.unregister("test", tenant)
    sandbox.up("test")
    flux_kinds = ("gitrepositories", KUSTOMIZATIONS, "serviceaccounts", "roles", "rolebindings")
    eventually(
        lambda: not sandbox.names("test", "nomad-test", *flux_kinds, "secrets") - {"default"}
    )
    assert sandbox.replicas("test", "nomad-test") == {"app": 1}
    limits = sandbox.names("test", "nomad-test", "resourcequotas", "limitranges", "networkpolicies")
    assert limits == {"tenant", "no-critical-pods", "default-deny", "own-namespace"}
    sandbox.kubectl("test", "delete", "namespace", "nomad-test")
    tenant.expect_gone("test")
    tenant.delete()


def test_a_tenant_that_moves_to_another_repository_keeps_its_app(
    sandbox: Sandbox, billing: Tenant
) -> None:
    """The Deployment stays the same one, and a missing repository changes nothing."""
    tenant, other = Tenant(sandbox=sandbox, name="mover"), Tenant(sandbox=sandbox, name="moved")
    for one in (tenant, other):
        one.create(["test"])
    other.push(other.files(["test"], "2"), "Version 2")
    sandbox.register("test", tenant)
    sandbox.up("test")
    tenant.expect_app("test", "1")
    before = sandbox.get("test", "deployment", "mover-test", "app")
    missing = sandbox.tenant_repository("nowhere").url
    sandbox.change_tenant("test", tenant, repository={"url": missing})
    sandbox.up("test")
    eventually(lambda: not _source_is_ready(sandbox, "mover-test", tenant))
    tenant.expect_app("test", "1")
    sandbox.change_tenant(
        "test", tenant, repository={"url": sandbox.tenant_repository("moved").url}
    )
    sandbox.set_credential("test", tenant, sandbox.tenant_repository("moved").token)
    sandbox.up("test")
    eventually(lambda: _version(sandbox, "mover-test") == "2")
    after = sandbox.get("test", "deployment", "mover-test", "app")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    sandbox.unregister("test", tenant)
    sandbox.up("test")
    tenant.expect_gone("test")
    for one in (tenant, other):
        one.delete()


def test_offboarding_with_a_broken_account(sandbox: Sandbox, billing: Tenant) -> None:
    """Flux's service account is deleted before the tenant is; still nothing is left."""
    tenant = Tenant(sandbox=sandbox, name="fleeting")
    tenant.create(["test"])
    sandbox.register("test", tenant)
    sandbox.up("test")
    tenant.expect_app("test", "1")
    sandbox.kubectl(
        "test", "delete", "serviceaccounts,rolebindings", "--all", "-n", "fleeting-test"
    )
    sandbox.unregister("test", tenant)
    sandbox.up("test")
    tenant.expect_gone("test")
    tenant.delete()


def test_an_interrupted_offboarding_is_completed(sandbox: Sandbox, billing: Tenant) -> None:
    """An `up` is killed after its first commit; the next one completes the removal."""
    tenant = Tenant(sandbox=sandbox, name="fickle")
    tenant.create(["test"])
    sandbox.register("test", tenant)
    sandbox.up("test")
    tenant.expect_app("test", "1")
    sandbox.unregister("test", tenant)
    head = sandbox.head()
    running = sandbox.stacks.start_up("test")
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up("test")
    tenant.expect_gone("test")
    tenant.delete()


def test_offboarding_everywhere(sandbox: Sandbox, billing: Tenant) -> None:
    """Removed lines and one `up` leave nothing of the tenant and change nothing else."""
    kept = {name: sandbox.workloads(name) for name in NAMES}
    for name in NAMES:
        sandbox.unregister(name, billing)
    head = sandbox.head()
    sandbox.up(*NAMES)
    print("", *sandbox.commits(head), sep="\n")
    for name in NAMES:
        billing.expect_gone(name)
        own = billing.namespace(name)
        assert sandbox.workloads(name) == {
            key: version for key, version in kept[name].items() if own not in key
        }
        assert not list((sandbox.root / "clusters" / name).rglob("*billing*"))
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))


def _app_in(sandbox: Sandbox, namespace: str) -> bool:
    found = sandbox.clusters.cluster("test").get(
        f"/apis/apps/v1/namespaces/{namespace}/deployments"
    )
    return any(
        item["metadata"]["name"] == "app" and "deletionTimestamp" not in item["metadata"]
        for item in found["items"]
    )


def _has_kustomization(sandbox: Sandbox) -> bool:
    found = sandbox.clusters.cluster("test").get(
        "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/nomad-abroad/kustomizations",
    )
    return bool(found["items"])


def _source_is_ready(sandbox: Sandbox, namespace: str, tenant: Tenant) -> bool:
    found = sandbox.get("test", "gitrepository", namespace, tenant.source)
    return found is not None and is_ready(found)


def _version(sandbox: Sandbox, namespace: str) -> str:
    found = sandbox.get("test", "configmap", namespace, "app") or {"data": {"version": ""}}
    version: str = found["data"]["version"]
    return version


def _kustomization_is_ready(sandbox: Sandbox, tenant: Tenant) -> bool:
    found = sandbox.get("dev", KUSTOMIZATIONS, tenant.namespace("dev"), tenant.kustomization)
    return found is not None and is_ready(found)


def _expect_only_broken(sandbox: Sandbox, broken: Tenant, others: list[Tenant]) -> None:
    """Assert that all other Kustomizations are Ready and apply new commits."""
    pushed = others[-1].push(others[-1].files(["dev"], "1"), "Nothing new")
    assert others[-1].wait("dev", pushed)[0]
    sandbox.converge()
    not_ready = [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in sandbox.clusters.cluster("dev").objects([KUSTOMIZATIONS])
        if not is_ready(item)
    ]
    assert not_ready == [(broken.namespace("dev"), broken.kustomization)]
