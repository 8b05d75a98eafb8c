"""Objects come, go and move between Flux Kustomizations of one cluster, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
import yaml

from fleet.render import flux
from tests.e2e.sandbox import Sandbox, Tenant
from tests.e2e.support import eventually, kill_tree
from tests.support import config_map, definition, manifest, namespace

pytestmark = pytest.mark.long
CLUSTER = "dev"
CLUSTERS = [CLUSTER]
MINUTES = 7
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
# The cluster has no provisioner, so the claim names a volume; it is bound, or infra is never ready.
VOLUME = manifest(
    "v1",
    "PersistentVolume",
    "shop-data",
    more="spec:\n  capacity: {storage: 1Gi}\n  accessModes: [ReadWriteOnce]\n"
    "  persistentVolumeReclaimPolicy: Retain\n  hostPath: {path: /nowhere}\n",
)
Lists = tuple[list[str], list[str]]


@pytest.fixture
def lists(sandbox: Sandbox) -> Iterator[Callable[[Lists], None]]:
    """Return a function that adds entries to the lists of the stack; they go after the test."""
    before = {key: sandbox.entries(CLUSTER, key) for key in ("infrastructure", "apps")}

    def add(more: Lists) -> None:
        infrastructure, apps = more
        sandbox.configure(
            CLUSTER,
            infrastructure=[*before["infrastructure"], *infrastructure],
            apps=[*before["apps"], *apps],
        )

    yield add
    add(([], []))
    sandbox.up(CLUSTER)


def push(sandbox: Sandbox, files: Mapping[str, str]) -> None:
    """Push definitions, and wait until Flux has applied them."""
    sandbox.platform_repository.pull()
    for path, text in files.items():
        (sandbox.root / path).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.root / path).write_text(text)
    sandbox.platform_repository.push("Definitions")
    sandbox.reconcile(CLUSTER, "gitrepository", "flux-system", flux.SYNC_NAME)
    sandbox.converge()


def uids(sandbox: Sandbox, space: str) -> dict[str, str]:
    """Return the UIDs of a namespace, of its claim and of its Deployment."""
    found = {
        "namespace": sandbox.get(CLUSTER, "namespace", "", space),
        "claim": sandbox.get(CLUSTER, "persistentvolumeclaim", space, "data"),
        "deployment": sandbox.get(CLUSTER, "deployment", space, "app"),
    }
    return {kind: item["metadata"]["uid"] for kind, item in found.items() if item is not None}


def refusal(sandbox: Sandbox) -> str:
    """Assert that `up` fails without a commit, and return the line that says why."""
    head = sandbox.head()
    running = sandbox.stacks.start_up(CLUSTER)
    assert running.process.wait(timeout=300) != 0
    assert sandbox.head() == head
    # The engine prints it when it comes, and once more at the end.
    first, *_ = [line for line in running.log.read_text().splitlines() if "moves from" in line]
    print(f"\n{first.strip()}")
    return first


def test_what_is_needed_comes_before_and_goes_after(
    sandbox: Sandbox, lists: Callable[[Lists], None]
) -> None:
    files: dict[str, str] = {}
    for name in ("red", "green"):
        files |= definition(f"infrastructure/namespaces/{name}", namespace(name))
        files |= definition(f"apps/{name}", config_map("app", name))
    push(sandbox, files)

    def commits_of(more: Lists) -> list[str]:
        head = sandbox.head()
        lists(more)
        sandbox.up(CLUSTER)
        return [line.partition(" (")[0] for line in sandbox.commits(head)]

    infra, apps = (f"{CLUSTER}: {stage}/kustomization.yaml" for stage in ("infra", "apps"))
    red, green = (([f"namespaces/{name}"], [name]) for name in ("red", "green"))
    assert commits_of(red) == [infra, apps]
    # One namespace comes and another one goes: the list of infra has both until apps is changed.
    assert commits_of(green) == [infra, apps, infra]
    eventually(lambda: "red" not in sandbox.namespaces(CLUSTER))
    assert "green" in sandbox.namespaces(CLUSTER)
    # The same again at once, in a run that is killed after its first commit.
    head = sandbox.head()
    lists(red)
    running = sandbox.stacks.start_up(CLUSTER)
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up(CLUSTER)
    assert [line.partition(" (")[0] for line in sandbox.commits(head)] == [infra, apps, infra]
    assert commits_of(green) == [infra, apps, infra]
    # The resource of the second commit leaves the state, and its file stays.
    assert commits_of(green) == []
    assert [outcome.unchanged for outcome in sandbox.up(CLUSTER)] == [True]
    assert commits_of(([], [])) == [apps, infra]
    eventually(lambda: "green" not in sandbox.namespaces(CLUSTER))


def test_a_namespace_moves_beside_its_app_without_a_deletion(
    sandbox: Sandbox, lists: Callable[[Lists], None]
) -> None:
    claim = manifest(
        "v1",
        "PersistentVolumeClaim",
        "data",
        "shop",
        yaml.safe_dump({"spec": {**CLAIM["spec"], "volumeName": "shop-data"}}),  # type: ignore[dict-item]
    )
    moving = f"{namespace('shop')}---\n{claim}"
    push(
        sandbox,
        {
            **definition("infrastructure/namespaces/shop", f"{moving}---\n{VOLUME}"),
            **definition("infrastructure/namespaces/shop-volume", VOLUME),
            **definition("apps/shop", config_map("app", "shop")),
            **definition("apps/shop-and-all", f"{moving}---\n{config_map('app', 'shop')}"),
        },
    )
    lists((["namespaces/shop"], ["shop"]))
    sandbox.up(CLUSTER)
    before = uids(sandbox, "shop")
    assert before.keys() == {"namespace", "claim"}

    lists((["namespaces/shop-volume"], ["shop-and-all"]))
    line = refusal(sandbox)
    assert (
        "Pulumi.dev.yaml: Namespace shop, PersistentVolumeClaim shop/data: moves from Flux "
        "Kustomization flux-system/infra to flux-system/apps, so Flux may delete it and make it "
        "again; first annotate it with kustomize.toolkit.fluxcd.io/prune: disabled, and move it "
        "when the clusters have that" in line
    )
    assert uids(sandbox, "shop") == before

    # The way that the line names.
    annotated = moving.replace(
        "metadata:\n",
        "metadata:\n  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n",
    )
    push(sandbox, definition("infrastructure/namespaces/shop", f"{annotated}---\n{VOLUME}"))
    sandbox.up(CLUSTER)
    assert uids(sandbox, "shop") == before
    print(f"\nshop before and after the move: {before}")
    for kind, name in (("namespace", "shop"), ("persistentvolumeclaim", "data")):
        moved = sandbox.get(CLUSTER, kind, "" if kind == "namespace" else "shop", name)
        assert moved is not None
        assert moved["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] == "apps"
        # It goes with its new stage like any other object.
        assert "annotations" not in moved["metadata"] or (
            "kustomize.toolkit.fluxcd.io/prune" not in moved["metadata"]["annotations"]
        )


def test_a_tenant_gets_another_name_without_a_deletion(sandbox: Sandbox) -> None:
    tenant = Tenant(sandbox=sandbox, name="billing")
    tenant.create([CLUSTER])
    files = tenant.files([CLUSTER], "1")
    app = f"deploy/{CLUSTER}/app.yaml"
    tenant.push({**files, app: f"{files[app]}---\n{yaml.safe_dump(CLAIM)}"}, "A claim")
    sandbox.register(CLUSTER, tenant)
    sandbox.up(CLUSTER)
    tenant.expect_app(CLUSTER, "1")
    space = tenant.namespace(CLUSTER)
    before = uids(sandbox, space)
    assert before.keys() == {"namespace", "claim", "deployment"}

    rename(sandbox, tenant, "payments")
    line = refusal(sandbox)
    assert (
        "first set keep: true for tenant billing, and move it when the clusters have that" in line
    )
    assert uids(sandbox, space) == before

    rename(sandbox, tenant, "billing")
    sandbox.change_tenant(CLUSTER, tenant, keep=True)
    sandbox.up(CLUSTER)
    rename(sandbox, tenant, "payments")
    sandbox.up(CLUSTER)
    kustomizations = "kustomizations.kustomize.toolkit.fluxcd.io"
    eventually(lambda: sandbox.object_names(CLUSTER, space, kustomizations) == {"payments-apps"})
    eventually(
        lambda: (
            (sandbox.get(CLUSTER, "deployment", space, "app") or {})
            .get("metadata", {})
            .get("labels", {})
            .get("kustomize.toolkit.fluxcd.io/name")
            == "payments-apps"
        )
    )
    assert uids(sandbox, space) == before
    print(f"\n{space} before and after the move: {before}")
    sandbox.configure(CLUSTER, tenants=[], tenantCredentials={})
    sandbox.up(CLUSTER)
    sandbox.kubectl(CLUSTER, "delete", "namespace", space)
    tenant.delete()


def rename(sandbox: Sandbox, tenant: Tenant, name: str) -> None:
    """Give a tenant another name in the stack file; its namespace and credentials stay."""
    (entry,) = sandbox.entries(CLUSTER, "tenants")
    (credential,) = _credentials(sandbox).values()
    sandbox.configure(
        CLUSTER,
        tenants=[{**entry, "name": name, "namespace": tenant.namespace(CLUSTER)}],
        tenantCredentials={name: credential},
    )


def _credentials(sandbox: Sandbox) -> dict[str, object]:
    content = yaml.safe_load((sandbox.root / f"Pulumi.{CLUSTER}.yaml").read_text())
    credentials: dict[str, object] = content["config"]["fleet:tenantCredentials"]
    return credentials
