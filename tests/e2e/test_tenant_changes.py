"""Tenants of one cluster break, change and leave, and disturb no other tenant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from fleet.process import run
from sandbox.report import is_ready
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox, Tenant
from tests.e2e.support import eventually, kill_tree, watching

CLUSTER = "test"
CLUSTERS, LEFT_OUT = [CLUSTER], "kyverno"
HEALTHY = [f"healthy-{number}" for number in range(5)]
NAMES = ["billing", "broken", *HEALTHY, "nomad", "mover", "fleeting", "fickle", "sticky"]
HOLD = "tests.example.com/hold"


@pytest.fixture(scope="module")
def tenants(sandbox: Sandbox) -> Iterator[Mapping[str, Tenant]]:
    """Register every tenant of this file by one `up`; billing is the one that stays to the end."""
    tenants = {name: Tenant(sandbox=sandbox, name=name) for name in NAMES}
    for tenant in tenants.values():
        tenant.create([CLUSTER])
    calls, head, started = sandbox.github_calls(), sandbox.head(), time.monotonic()
    sandbox.register(CLUSTER, *tenants.values())
    sandbox.stacks.up([CLUSTER])
    print(
        f"\n`up` with {len(NAMES)} more tenants: {time.monotonic() - started:.1f} s, "
        f"{sandbox.github_calls() - calls} calls of GitHub, {len(sandbox.commits(head))} commits"
    )
    sandbox.converge()
    for tenant in tenants.values():
        tenant.expect_app(CLUSTER, "1")
    yield tenants
    billing = tenants["billing"]
    sandbox.unregister(CLUSTER, billing)
    sandbox.up(CLUSTER)
    billing.expect_gone(CLUSTER)


def test_a_broken_tenant_fails_alone(sandbox: Sandbox, tenants: Mapping[str, Tenant]) -> None:
    """A broken folder, a missing folder and a deleted repository disturb none of the others."""
    broken = tenants["broken"]
    healthy = [tenants[name] for name in HEALTHY]
    others = [tenant for tenant in tenants.values() if tenant is not broken]
    pushed = broken.push(
        {f"deploy/{CLUSTER}/kustomization.yaml": "resources: [nothing.yaml]\n"}, "Break"
    )
    assert not broken.wait(CLUSTER, pushed)[0]
    _expect_only_broken(sandbox, broken, others)

    pushed = broken.push(
        {"deploy/elsewhere/kustomization.yaml": "resources: []\n"}, "No such folder"
    )
    eventually(lambda: not _kustomization_is_ready(sandbox, broken))
    _expect_only_broken(sandbox, broken, others)

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
    _expect_only_broken(sandbox, broken, others)

    # All of them are removed at once, one of them with its repository already deleted.
    started = time.monotonic()
    sandbox.unregister(CLUSTER, *healthy, broken)
    sandbox.stacks.up([CLUSTER])
    print(f"`up` without them again: {time.monotonic() - started:.1f} s")
    sandbox.converge()
    for tenant in (*healthy, broken):
        tenant.expect_gone(CLUSTER)
    print(f"all of them gone after {time.monotonic() - started:.1f} s")
    tenants["billing"].expect_app(CLUSTER, "1")


def test_a_renamed_namespace_is_there_before_the_old_one_goes(
    sandbox: Sandbox, tenants: Mapping[str, Tenant]
) -> None:
    """The app stays in the old namespace until the new one has its Kustomization."""
    tenant = tenants["nomad"]
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


def test_a_tenant_that_moves_to_another_repository_keeps_its_app(
    sandbox: Sandbox, tenants: Mapping[str, Tenant]
) -> None:
    """The Deployment stays the same one, and a missing repository changes nothing."""
    tenant, other = tenants["mover"], Tenant(sandbox=sandbox, name="moved")
    other.create([CLUSTER])
    other.push(other.files([CLUSTER], "2"), "Version 2")
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
    other.delete()


def test_offboarding_with_a_broken_account(sandbox: Sandbox, tenants: Mapping[str, Tenant]) -> None:
    """Flux's service account is deleted before the tenant is; still nothing is left."""
    tenant = tenants["fleeting"]
    sandbox.kubectl(
        CLUSTER, "delete", "serviceaccounts,rolebindings", "--all", "-n", f"fleeting-{CLUSTER}"
    )
    sandbox.unregister(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)


def test_an_offboarding_that_does_not_end_is_seen_with_the_way_out(
    sandbox: Sandbox, tenants: Mapping[str, Tenant]
) -> None:
    """The next run names what holds the namespace; its command ends that, then nothing is said."""
    tenant = tenants["sticky"]
    # A finalizer alone is no change for Flux, so the version changes too.
    files = tenant.files([CLUSTER], "2")
    app = f"deploy/{CLUSTER}/app.yaml"
    files[app] = files[app].replace("name: app\n", f"name: app\n  finalizers: [{HOLD}]\n", 1)
    assert tenant.wait(CLUSTER, tenant.push(files, "Hold the ConfigMap"))[0]
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


def test_an_interrupted_offboarding_is_completed(
    sandbox: Sandbox, tenants: Mapping[str, Tenant]
) -> None:
    """An `up` is killed after its first commit; the next one completes the removal."""
    tenant = tenants["fickle"]
    sandbox.unregister(CLUSTER, tenant)
    head = sandbox.head()
    running = sandbox.stacks.start_up(CLUSTER)
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up(CLUSTER)
    tenant.expect_gone(CLUSTER)


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
