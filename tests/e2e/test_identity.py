"""Never the wrong cluster: refusals that write nothing, and the one way on of each.

Two clusters are swapped, lost, rebuilt, edited and taken over. `up` and `preview` refuse the same.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli import main
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.process import run
from sandbox.build import tools
from tests.e2e.rebuilding import rebuild, uid
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox, Tenant
from tests.e2e.support import eventually

pytestmark = pytest.mark.long
CLUSTERS = ["dev", "prod"]
MINUTES = 8
SPOKE = True
LEFT_OUT = "kyverno"
IDENTITY = "clusters/{}/flux-system/cluster-identity.yaml"
APPS = "clusters/dev/apps.yaml"
# Both commands refuse. A refresh is not the program's: it runs before.
COMMANDS = (
    ("preview", "--refresh=false"),
    ("up", "--yes", "--skip-preview", "--refresh=false"),
)
FAILED = (1, 255)


def refusals(sandbox: Sandbox, stack: str) -> set[str]:
    """Run `preview` and `up` and return their problems; assert that they write nothing."""
    head, clusters = sandbox.head(), {name: sandbox.snapshot(name) for name in sandbox.names}
    state = resources(sandbox, stack)
    problems = set()
    for command in COMMANDS:
        said = sandbox.stacks.run_pulumi(*command, "--stack", stack, accept=FAILED)
        lines = [line.strip() for line in said.splitlines()]
        problems |= {line for line in lines if line.startswith(("Pulumi.", "error: ", "clusters/"))}
        assert "Traceback" not in said
    assert sandbox.head() == head
    assert resources(sandbox, stack) == state
    assert {name: sandbox.snapshot(name) for name in sandbox.names} == clusters
    print(*problems, sep="\n")
    return {problem.removeprefix("error: ") for problem in problems}


def resources(sandbox: Sandbox, stack: str) -> list[Any]:
    """Return the resources of a stack's state without the stack itself."""
    found = sandbox.resources(stack)
    return [item for item in found if item["type"] != "pulumi:pulumi:Stack"]


def set_key(sandbox: Sandbox, stack: str, **keys: str | None) -> None:
    """Set keys below `fleet:cluster`, and remove those that are None."""
    file = sandbox.root / f"Pulumi.{stack}.yaml"
    content = yaml.safe_load(file.read_text())
    cluster = content["config"]["fleet:cluster"] | keys
    content["config"]["fleet:cluster"] = {k: v for k, v in cluster.items() if v is not None}
    file.write_text(yaml.safe_dump(content, sort_keys=False))


@contextmanager
def kubeconfig(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Yield the kubeconfig to be changed, and restore it at the end."""
    file = sandbox.clusters.kubeconfig_file
    text = file.read_text()
    content = yaml.safe_load(text)
    try:
        yield content
    finally:
        file.write_text(text)


def write_kubeconfig(sandbox: Sandbox, content: dict[str, Any]) -> None:
    sandbox.clusters.kubeconfig_file.write_text(yaml.safe_dump(content))


def versions(sandbox: Sandbox, cluster: str) -> dict[str, str]:
    """Return the resourceVersion of every workload that Flux applies, and of what it needs."""
    kinds = ["serviceaccounts", "deployments", "services", "configmaps", "networkpolicies"]
    return {
        f"{kind} {metadata['namespace']}/{metadata['name']}": metadata["resourceVersion"]
        for kind in kinds
        for metadata in (item["metadata"] for item in sandbox.objects(cluster, kind))
        if metadata["namespace"] != FLUX_NAMESPACE
    }


def test_up_writes_the_identity_of_its_cluster(sandbox: Sandbox) -> None:
    sandbox.commits()
    for name in CLUSTERS:
        text = (sandbox.root / IDENTITY.format(name)).read_text()
        assert text.endswith(f"uid: {uid(sandbox, name)}\n")
        log = sandbox.platform_repository.git(
            "log", "--format=%s", "--reverse", "--", f"clusters/{name}"
        )
        assert len([line for line in log.splitlines() if "cluster-identity" in line]) == 1


def test_a_swapped_context_is_refused(sandbox: Sandbox) -> None:
    with kubeconfig(sandbox) as content:
        dev, prod = content["contexts"]
        dev["context"], prod["context"] = prod["context"], dev["context"]
        write_kubeconfig(sandbox, content)
        (found,) = refusals(sandbox, "dev")
    assert found == (
        f"Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' leads to the cluster "
        f"{uid(sandbox, 'prod')}, which follows clusters/prod of "
        f"{sandbox.platform_repository.url} at main, but clusters/dev on main is for the cluster "
        f"{uid(sandbox, 'dev')}; name the context of that one"
    )


def test_a_new_stack_on_an_occupied_cluster_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """The kubeconfig, the context and the server's URL of the new stack are its own."""
    content = yaml.safe_load(sandbox.clusters.kubeconfig_file.read_text())
    for cluster in content["clusters"]:
        server = cluster["cluster"]["server"]
        cluster["cluster"]["server"] = server.replace("127.0.0.1", "localhost")
    for context in content["contexts"]:
        context["name"] = context["name"].replace("k3d-prod", "k3d-test")
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(content))
    set_key(sandbox, "test", kubeconfig=str(own))
    assert main.main(["check", "--root", str(sandbox.root)]) == 0
    assert sandbox.stacks.start_up("test").process.wait(timeout=300) != 0
    (found,) = refusals(sandbox, "test")
    assert found == (
        f"Pulumi.test.yaml: fleet:cluster.context: 'k3d-test' leads to the cluster "
        f"{uid(sandbox, 'prod')}, which is also the cluster of clusters/prod on main; "
        "keep one stack for each cluster, or set fleet:cluster.movesFrom: {stack: prod} if the "
        "stack was renamed"
    )
    assert not any(line.startswith("test:") for line in sandbox.commits())


def test_a_hand_edit_is_refused_and_a_rendered_tree_is_accepted(sandbox: Sandbox) -> None:
    sandbox.commits()
    file = sandbox.root / APPS
    # Flux pulls every commit, and a comment changes no object of the cluster.
    file.write_text(file.read_text() + "# a note\n")
    sandbox.platform_repository.push("An edit by hand")
    (found,) = refusals(sandbox, "dev")
    assert found == (
        f"{APPS}: was edited on main, because its text is not the one that its header has the "
        "checksum of; run `fleet render --out .`, review the difference, commit and push it"
    )
    assert main.main(["render", "--root", str(sandbox.root), "--out", str(sandbox.root)]) == 0
    # The tree of the one stack is reviewed; the other ones are not there.
    shutil.rmtree(sandbox.root / "clusters/test")
    sandbox.platform_repository.push("The tree as fleet renders it")
    head = sandbox.head()
    sandbox.up("dev")
    assert sandbox.head() == head
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_a_tree_that_was_merged_before_up_is_accepted(sandbox: Sandbox) -> None:
    entries = sandbox.entries("dev", "apps")
    sandbox.configure("dev", apps=list(reversed(entries)))
    assert main.main(
        ["render", "--root", str(sandbox.root), "--stack", "dev", "--out", str(sandbox.root)]
    ) == 0  # fmt: skip
    assert sandbox.platform_repository.push("A change that was reviewed as a tree")
    head = sandbox.head()
    sandbox.up("dev")
    assert sandbox.head() == head
    sandbox.configure("dev", apps=entries)
    sandbox.up("dev")
    assert len(sandbox.commits(head)) == 1


def test_a_lost_state_is_taken_over_without_a_change(sandbox: Sandbox) -> None:
    sandbox.converge()
    head, before = sandbox.head(), versions(sandbox, "dev")
    objects = sandbox.snapshot("dev")
    for file in sandbox.stacks._backend.rglob("dev.json*"):
        file.unlink()
    assert not sandbox.stacks.is_initialized("dev")
    sandbox.up("dev")
    assert sandbox.commits(head) == []
    assert versions(sandbox, "dev") == before
    # Flux gives the objects that `up` applied again the labels of its own.
    for name in ("flux-system", "tenant-billing"):
        sandbox.reconcile("dev", KUSTOMIZATIONS, FLUX_NAMESPACE, name)
    eventually(lambda: sandbox.snapshot("dev") == objects)
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_a_cluster_that_cannot_be_reached(sandbox: Sandbox) -> None:
    """A preview goes on and says so; `up` refuses. With and without a refresh."""
    unverified = "'k3d-dev' cannot be reached, so its identity is not verified"
    sandbox.configure("dev", apps=list(reversed(entries := sandbox.entries("dev", "apps"))))
    head, state = sandbox.head(), resources(sandbox, "dev")
    with kubeconfig(sandbox) as content:
        for item in content["clusters"]:
            if item["name"] == "k3d-dev":
                item["cluster"]["server"] = "https://127.0.0.1:1"
        write_kubeconfig(sandbox, content)
        for options in ((), ("--refresh=false",)):
            said = sandbox.stacks.run_pulumi("preview", *options, "--stack", "dev")
            assert unverified in said
            assert "clusters/dev/apps/kustomization.yaml" in said
            refused = sandbox.stacks.run_pulumi(
                "up", "--yes", "--skip-preview", *options, "--stack", "dev", accept=FAILED
            )
            assert f"error: Pulumi.dev.yaml: fleet:cluster.context: {unverified}" in refused
    assert sandbox.head() == head
    assert resources(sandbox, "dev") == state
    sandbox.configure("dev", apps=entries)
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_a_rebuilt_cluster_is_accepted_by_the_former_uid(sandbox: Sandbox) -> None:
    """From nothing to converged, with the credentials of its tenant, by one key and one `up`."""
    billing = Tenant(sandbox=sandbox, name="billing")
    former = uid(sandbox, "dev")
    new = rebuild(sandbox, "dev")
    assert new != former
    (found,) = refusals(sandbox, "dev")
    assert found == (
        f"Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' leads to the cluster {new}, but "
        f"clusters/dev on main is for the cluster {former}; correct the context, or set "
        f"fleet:cluster.replaces: {former} if it was rebuilt"
    )
    set_key(sandbox, "dev", replaces=former)
    head, started = sandbox.head(), time.monotonic()
    (outcome,) = sandbox.up_with_flux("dev")
    sandbox.converge()
    namespace = billing.namespace("dev")
    eventually(lambda: bool(sandbox.replicas("dev", namespace)), 120)
    print(f"\na cluster from nothing to converged: {time.monotonic() - started:.0f} s", outcome)
    assert sandbox.get("dev", "secrets", namespace, billing.source) is not None
    assert sandbox.commits(head) == ["dev: flux-system/cluster-identity.yaml"]
    # It is good for that once, and `fleet check` says so.
    set_key(sandbox, "dev", replaces=None)
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_a_foreign_flux_is_refused_and_adopted(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its workloads stay: none is pruned when Flux begins to follow the stack's tree."""
    former = uid(sandbox, "prod")
    new = rebuild(sandbox, "prod")
    set_key(sandbox, "prod", replaces=former)
    legacy = Tenant(sandbox=sandbox, name="legacy")
    legacy.create(["prod"])
    start_foreign_flux(sandbox, legacy)
    before = sandbox.get("prod", "deployments", "legacy", "app")
    (found,) = refusals(sandbox, "prod")
    assert found == (
        f"Pulumi.prod.yaml: fleet:cluster.context: 'k3d-prod' leads to the cluster {new}, which "
        f"follows deploy/prod of {legacy.repository.url} at main, but this stack is clusters/prod "
        f"of {sandbox.platform_repository.url} at main; to take it over, set "
        f"fleet:cluster.adopts: {new}"
    )
    set_key(sandbox, "prod", adopts=new)
    (found,) = refusals(sandbox, "prod")
    assert "that changes what it applies by spec.targetNamespace; suspend it" in found
    command = found.rpartition(" remove that: ")[2]
    run(["sh", "-c", command], timeout=60, env=sandbox.stacks.environment())
    sandbox.up_with_flux("prod")
    sandbox.converge()
    (root,) = (
        item
        for item in sandbox.objects("prod", KUSTOMIZATIONS, FLUX_NAMESPACE)
        if item["metadata"]["name"] == "flux-system"
    )
    assert (root["spec"]["path"], root["spec"]["prune"]) == ("./clusters/prod", False)
    after = sandbox.get("prod", "deployments", "legacy", "app")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert sandbox.objects("prod", KUSTOMIZATIONS, "legacy") == []
    sandbox.commits()
    capsys.readouterr()
    assert main.main(["check", "--root", str(sandbox.root)]) == 0
    said = capsys.readouterr().err
    for key in ("replaces", "adopts"):
        assert f"Pulumi.prod.yaml: fleet:cluster.{key}: " in said
    set_key(sandbox, "prod", replaces=None, adopts=None)
    head = sandbox.head()
    sandbox.up("prod")
    assert sandbox.commits(head) == ["prod: flux-system/gotk-sync.yaml"]
    assert [outcome.unchanged for outcome in sandbox.up("prod")] == [True]
    sandbox.converge()
    after = sandbox.get("prod", "deployments", "legacy", "app")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    legacy.delete()


def start_foreign_flux(sandbox: Sandbox, tenant: Tenant) -> None:
    """Install Flux as `flux bootstrap` does, and have it apply an app from another repository."""
    sandbox.kubectl("prod", "apply", "--server-side", "-f", str(tools.manifests()))
    # The API server answers for a new kind a moment after it knows it.
    eventually(lambda: sandbox.answers("prod"))
    sandbox.kubectl("prod", "create", "namespace", "legacy")
    metadata = {"name": "flux-system", "namespace": FLUX_NAMESPACE}
    token = {"username": "git", "password": tenant.repository.token}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": token},
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": {
                "interval": "1m",
                "url": tenant.repository.url,
                "ref": {"branch": "main"},
                "secretRef": {"name": "flux-system"},
            },
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": metadata,
            "spec": {
                "interval": "10m",
                "path": "./deploy/prod",
                "prune": True,
                "targetNamespace": "legacy",
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
            },
        },
    ]
    sandbox.kubectl("prod", "apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    sandbox.start_flux("prod")
    eventually(lambda: sandbox.replicas("prod", "legacy") == {"app": 1})
