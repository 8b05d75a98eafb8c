"""Two clusters share an overlay and have hosts of their own, and `up` ends with changed facts."""

from __future__ import annotations

import pytest

from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import facts
from tests.e2e.sandbox import Sandbox

CLUSTERS, LEFT_OUT = ["dev", "prod"], "kyverno"
OVERLAY = "podinfo/overlays/prod"


def host(sandbox: Sandbox, cluster: str) -> str:
    """Return the host of podinfo in a cluster."""
    found = sandbox.get(cluster, "ingress", "team-x", "podinfo")
    assert found is not None
    (rule,) = found["spec"]["rules"]
    name: str = rule["host"]
    return name


@pytest.fixture(scope="module", autouse=True)
def shared_overlay(sandbox: Sandbox) -> None:
    """Give both clusters one overlay, and dev a fact that prod has from Pulumi.yaml."""
    entry = {"path": OVERLAY, "because": "both clusters are to have the same"}
    sandbox.configure("dev", apps=["common", entry])
    sandbox.up("dev", "prod")


def test_two_hosts_of_one_overlay(sandbox: Sandbox) -> None:
    assert host(sandbox, "dev") == "podinfo.dev.example.com"
    assert host(sandbox, "prod") == "podinfo.example.com"
    data = {"cluster": "dev", "environment": "dev", "domain": "dev.example.com"}
    found = sandbox.get("dev", "configmap", FLUX_NAMESPACE, facts.CONFIG_MAP)
    assert found is not None
    assert found["data"] == data


def test_a_changed_fact_is_there_when_up_ends(sandbox: Sandbox) -> None:
    """Nothing waits here but `up` itself."""
    for domain in ("a.example.com", "b.example.com", "a.example.com"):
        sandbox.configure("dev", facts={"domain": domain})
        sandbox.stacks.up(["dev"])
        assert host(sandbox, "dev") == f"podinfo.{domain}"
        assert host(sandbox, "prod") == "podinfo.example.com"
    sandbox.converge()
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_a_fact_and_its_definition_come_and_go_in_one_run_each(sandbox: Sandbox) -> None:
    """Each commit is a tree that Flux can apply, so no stage ever fails."""
    folder = sandbox.root / "apps/zone"
    sandbox.platform_repository.pull()
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n"
    )
    (folder / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: zone, namespace: team-x}\n"
        "data: {zone: '${zone}'}\n"
    )
    sandbox.platform_repository.push("A definition with a fact")
    entries = sandbox.entries("dev", "apps")
    known = {"domain": "a.example.com"}
    sandbox.configure("dev", apps=[*entries, "zone"], facts={**known, "zone": "z"})
    sandbox.up("dev")
    found = sandbox.get("dev", "configmap", "team-x", "zone")
    assert found is not None
    assert found["data"] == {"zone": "z"}

    head = sandbox.head()
    sandbox.configure("dev", apps=entries, facts=known)
    sandbox.up("dev")
    assert sandbox.get("dev", "configmap", "team-x", "zone") is None
    file = "dev: flux-system/cluster-facts.yaml"
    # The fact stays until the list no longer has the definition.
    assert sandbox.commits(head)[-1] == file
