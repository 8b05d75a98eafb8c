"""Tenants of one cluster break, change and leave, and disturb no other tenant."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fleet.process import run
from sandbox.report import is_ready
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox, Tenant
from tests.e2e.support import eventually, kill_tree, watching

CLUSTER = "test"
CLUSTERS = [CLUSTER]
HEALTHY = 9
HOLD = "tests.example.com/hold"


@pytest.fixture(scope="module")
def billing(sandbox: Sandbox) -> Iterator[Tenant]:
    """Register a tenant whose app the others must not disturb."""
    tenant = Tenant(sandbox=sandbox, name="billing")
    tenant.create([CLUSTER])
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    yield tenant
    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)
    tenant.delete()


def test_a_broken_tenant_fails_alone(sandbox: Sandbox, billing: Tenant) -> None:
    """A broken folder, a missing folder and a deleted repository disturb none of nine others."""
    healthy = [Tenant(sandbox=sandbox, name=f"healthy-{number}") for number in range(HEALTHY)]
    broken = Tenant(sandbox=sandbox, name="broken")
    for tenant in (*healthy, broken):
        tenant.create([CLUSTER])
    calls, head, started = sandbox.github_calls(), sandbox.head(), time.monotonic()
    sandbox.register(CLUSTER, *healthy, broken)
    sandbox.stacks.up([CLUSTER])
    print(
        f"\n`up` with {HEALTHY + 1} more tenants: {time.monotonic() - started:.1f} s, "
        f"{sandbox.github_calls() - calls} calls of GitHub, {len(sandbox.commits(head))} commits"
    )
    sandbox.converge()
    for tenant in (*healthy, broken):
        tenant.expect_app(CLUSTER, "1")

    pushed = broken.push(
        {f"deploy/{CLUSTER}/kustomization.yaml": "resources: [nothing.yaml]\n"}, "Break"
    )
    assert not broken.wait(CLUSTER, pushed)[0]
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    pushed = broken.push(
        {"deploy/elsewhere/kustomization.yaml": "resources: []\n"}, "No such folder"
    )
    eventually(lambda: not _kustomization_is_ready(sandbox, broken))
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    broken.delete()
    sandbox.reconcile(CLUSTER, "gitrepository", broken.namespace(CLUSTER), broken.source)
    eventually(
        lambda: (
            not is_ready(
                sandbox.get(CLUSTER, "gitrepository", broken.namespace(CLUSTER), broken.source)
                or {"metadata": {}}
            )
        )
    )
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    # All of them are removed at once, one of them with its repository already deleted.
    started = time.monotonic()
    sandbox.unregister(CLUSTER, *healthy, broken)
    sandbox.stacks.up([CLUSTER])
    print(f"`up` without them again: {time.monotonic() - started:.1f} s")
    sandbox.converge()
    for tenant in (*healthy, broken):
        tenant.expect_gone(CLUSTER)
    print(f"all of them gone after {time.monotonic() - started:.1f} s")
    for tenant in healthy:
        tenant.delete()
    billing.expect_app(CLUSTER, "1")


def test_a_renamed_namespace_is_there_before_the_old_one_goes(
    sandbox: Sandbox, billing: Tenant
) -> None:
    """The app stays in the old namespace until the new one has its Kustomization."""
    tenant = Tenant(sandbox=sandbox, name="nomad")
    tenant.create([CLUSTER])
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    sandbox.change_tenant(CLUSTER, tenant, namespace="nomad-abroad")
    seen: list[tuple[bool, bool]] = []
    with watching(
        lambda: seen.append((_app_in(sandbox, f"nomad-{CLUSTER}"), _has_kustomization(sandbox)))
    ):
        sandbox.up(CLUSTER)
        eventually(lambda: sandbox.replicas(CLUSTER, "nomad-abroad") == {"app": 1})
        eventually(lambda: f"nomad-{CLUSTER}" not in sandbox.namespaces(CLUSTER))
    assert (True, False) in seen
    assert (False, False) not in seen
    assert seen[-1] == (False, True)

    # With keep, the old namespace stays after the next rename, until a person deletes it.
    sandbox.change_tenant(CLUSTER, tenant, keep=True)
    sandbox.up(CLUSTER)
    sandbox.change_tenant(CLUSTER, tenant, namespace=f"nomad-{CLUSTER}")
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    assert sandbox.replicas(CLUSTER, "nomad-abroad") == {"app": 1}
    sandbox.kubectl(CLUSTER, "delete", "namespace", "nomad-abroad")

    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    flux_kinds = ("gitrepositories", KUSTOMIZATIONS, "serviceaccounts", "roles", "rolebindings")
    eventually(
        lambda: (
            not sandbox.object_names(CLUSTER, f"nomad-{CLUSTER}", *flux_kinds, "secrets")
            - {"default"}
        )
    )
    assert sandbox.replicas(CLUSTER, f"nomad-{CLUSTER}") == {"app": 1}
    limits = sandbox.object_names(
        CLUSTER, f"nomad-{CLUSTER}", "resourcequotas", "limitranges", "networkpolicies"
    )
    assert limits == {"tenant", "no-critical-pods", "default-deny", "own-namespace"}
    sandbox.kubectl(CLUSTER, "delete", "namespace", f"nomad-{CLUSTER}")
    tenant.expect_gone(CLUSTER)
    tenant.delete()


def test_a_tenant_that_moves_to_another_repository_keeps_its_app(
    sandbox: Sandbox, billing: Tenant
) -> None:
    """The Deployment stays the same one, and a missing repository changes nothing."""
    tenant, other = Tenant(sandbox=sandbox, name="mover"), Tenant(sandbox=sandbox, name="moved")
    for one in (tenant, other):
        one.create([CLUSTER])
    other.push(other.files([CLUSTER], "2"), "Version 2")
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    before = sandbox.get(CLUSTER, "deployment", f"mover-{CLUSTER}", "app")
    missing = sandbox.tenant_repository("nowhere").url
    sandbox.change_tenant(CLUSTER, tenant, repository={"url": missing})
    sandbox.up(CLUSTER)
    eventually(lambda: not _source_is_ready(sandbox, f"mover-{CLUSTER}", tenant))
    tenant.expect_app(CLUSTER, "1")
    sandbox.change_tenant(
        CLUSTER, tenant, repository={"url": sandbox.tenant_repository("moved").url}
    )
    sandbox.set_credential(CLUSTER, tenant, sandbox.tenant_repository("moved").token)
    sandbox.up(CLUSTER)
    eventually(lambda: _version(sandbox, f"mover-{CLUSTER}") == "2")
    after = sandbox.get(CLUSTER, "deployment", f"mover-{CLUSTER}", "app")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)
    for one in (tenant, other):
        one.delete()


def test_offboarding_with_a_broken_account(sandbox: Sandbox, billing: Tenant) -> None:
    """Flux's service account is deleted before the tenant is; still nothing is left."""
    tenant = Tenant(sandbox=sandbox, name="fleeting")
    tenant.create([CLUSTER])
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    sandbox.kubectl(
        CLUSTER, "delete", "serviceaccounts,rolebindings", "--all", "-n", f"fleeting-{CLUSTER}"
    )
    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)
    tenant.delete()


def test_an_offboarding_that_does_not_end_is_seen_with_the_way_out(
    sandbox: Sandbox, billing: Tenant
) -> None:
    """The next run names what holds the namespace; its command ends that, then nothing is said."""
    tenant = Tenant(sandbox=sandbox, name="sticky")
    tenant.create([CLUSTER])
    files = tenant.files([CLUSTER], "1")
    app = f"deploy/{CLUSTER}/app.yaml"
    files[app] = files[app].replace("name: app\n", f"name: app\n  finalizers: [{HOLD}]\n", 1)
    tenant.push(files, "Hold the ConfigMap")
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    assert _warnings(sandbox) == []

    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    namespace = tenant.namespace(CLUSTER)
    eventually(lambda: _is_held(sandbox, namespace))
    (warning,) = _warnings(sandbox)
    print(f"\n{warning}")
    assert f"the namespace {namespace} of the tenant sticky has been Terminating since" in warning
    assert f"because configmaps/app waits for {HOLD}; if nobody will finish that, run: " in warning
    assert sandbox.stacks.up([CLUSTER])[0].unchanged
    assert warning in (sandbox.state / "logs" / f"pulumi-{CLUSTER}.log").read_text()

    run(["sh", "-c", warning.partition(", run: ")[2]], timeout=60, env=sandbox.stacks.environment())
    tenant.expect_gone(CLUSTER)
    assert _warnings(sandbox) == []
    tenant.delete()


def test_an_interrupted_offboarding_is_completed(sandbox: Sandbox, billing: Tenant) -> None:
    """An `up` is killed after its first commit; the next one completes the removal."""
    tenant = Tenant(sandbox=sandbox, name="fickle")
    tenant.create([CLUSTER])
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    sandbox.unregister(CLUSTER, tenant)
    head = sandbox.head()
    running = sandbox.stacks.start_up(CLUSTER)
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)
    tenant.delete()


def _warnings(sandbox: Sandbox) -> list[str]:
    """Return the warnings of a preview about namespaces that are being deleted.

    The engine prints a warning when it comes, and again at the end.
    """
    output = sandbox.stacks.run_pulumi("preview", "--stack", CLUSTER, "--color", "never")
    lines = [line for line in output.splitlines() if "Terminating" in line]
    return list(dict.fromkeys(line.partition("warning: ")[2] for line in lines))


def _is_held(sandbox: Sandbox, namespace: str) -> bool:
    """Return whether the namespace waits for the finalizer of the tests, and for no other."""
    found = sandbox.get(CLUSTER, "namespace", "", namespace) or {"status": {}}
    return any(
        condition["message"].endswith(f" finalizers remaining: {HOLD} in 1 resource instances")
        for condition in found["status"].get("conditions", ())
    )


def _app_in(sandbox: Sandbox, namespace: str) -> bool:
    found = sandbox.clusters.cluster(CLUSTER).get(
        f"/apis/apps/v1/namespaces/{namespace}/deployments"
    )
    return any(
        item["metadata"]["name"] == "app" and "deletionTimestamp" not in item["metadata"]
        for item in found["items"]
    )


def _has_kustomization(sandbox: Sandbox) -> bool:
    found = sandbox.clusters.cluster(CLUSTER).get(
        "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/nomad-abroad/kustomizations",
    )
    return bool(found["items"])


def _source_is_ready(sandbox: Sandbox, namespace: str, tenant: Tenant) -> bool:
    found = sandbox.get(CLUSTER, "gitrepository", namespace, tenant.source)
    return found is not None and is_ready(found)


def _version(sandbox: Sandbox, namespace: str) -> str:
    found = sandbox.get(CLUSTER, "configmap", namespace, "app") or {"data": {"version": ""}}
    version: str = found["data"]["version"]
    return version


def _kustomization_is_ready(sandbox: Sandbox, tenant: Tenant) -> bool:
    found = sandbox.get(CLUSTER, KUSTOMIZATIONS, tenant.namespace(CLUSTER), tenant.kustomization)
    return found is not None and is_ready(found)


def _expect_only_broken(sandbox: Sandbox, broken: Tenant, others: list[Tenant]) -> None:
    """Assert that all other Kustomizations are Ready and apply new commits."""
    pushed = others[-1].push(others[-1].files([CLUSTER], "1"), "Nothing new")
    assert others[-1].wait(CLUSTER, pushed)[0]
    sandbox.converge()
    not_ready = [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in sandbox.objects(CLUSTER, KUSTOMIZATIONS)
        if not is_ready(item)
    ]
    assert not_ready == [(broken.namespace(CLUSTER), broken.kustomization)]
