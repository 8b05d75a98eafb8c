"""A team's fence: golden in `tenancy/`, and what must hold for any team."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fleet.check.run import check_stacks
from fleet.config import load
from fleet.config.models import Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.config.tenant_models import FENCE_GROUPS, FENCE_RESOURCES
from fleet.render import commits, tenant_manifests, tree
from tests.render.test_tree import TENANCY, document, listed

FOLDER = "clusters/prod-us-east-1"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load.stack(TENANCY, "prod-us-east-1")


@pytest.fixture(params=["audit", "billing", "legacy"])
def team(stack: Stack, request: pytest.FixtureRequest) -> Tenant:
    (found,) = (team for team in tenants_of(stack) if team.name == request.param)
    return found


def objects(team: Tenant, kind: str) -> list[dict[str, Any]]:
    return [item for item in tenant_manifests.documents(team) if item["kind"] == kind]


def one(team: Tenant, kind: str) -> dict[str, Any]:
    (found,) = objects(team, kind)
    return found


def test_delivered_beside_apps_and_nobody_waits_for_it(stack: Stack) -> None:
    """A broken team makes neither another's Kustomization nor the platform's not ready."""
    files = tree.render(stack, None)
    assert listed(files[f"{FOLDER}/tenants/kustomization.yaml"]) == [
        "audit.yaml",
        "billing.yaml",
        "legacy.yaml",
    ]
    for team in ("audit", "billing", "legacy"):
        spec = document(files[f"{FOLDER}/tenants/{team}.yaml"])["spec"]
        assert (spec["wait"], spec["dependsOn"]) == (False, [{"name": "infra"}])
        assert spec["path"] == f"./{FOLDER}/tenants/{team}"
        assert spec["serviceAccountName"] == "platform"
        assert "healthChecks" not in spec
    for name in ("infra", "apps"):
        dependencies = document(files[f"{FOLDER}/{name}.yaml"])["spec"].get("dependsOn", [])
        assert not [needed for needed in dependencies if "tenant" in needed["name"]]


def test_a_team_is_listed_after_its_file_is_there(stack: Stack) -> None:
    waves = commits.waves(stack, list(tree.render(stack, None)))
    positions = {path: index for index, wave in enumerate(waves) for path in wave}
    list_of_teams = positions[f"{FOLDER}/tenants/kustomization.yaml"]
    assert positions[f"{FOLDER}/tenants/billing.yaml"] < list_of_teams
    assert positions[f"{FOLDER}/tenants/billing/tenant.yaml"] < list_of_teams
    assert list_of_teams < positions[f"{FOLDER}/kustomization.yaml"]


def test_a_change_of_one_team_is_a_change_of_one_file(stack: Stack) -> None:
    before = tree.render(stack, None)
    tenants = tuple(
        tenant.model_copy(update={"suspend": True}) if tenant.name == "billing" else tenant
        for tenant in stack.config.tenants
    )
    config = stack.config.model_copy(update={"tenants": tenants})
    changed = type(stack)(name=stack.name, file=stack.file, config=config)
    after = tree.render(changed, None)
    assert [path for path in after if after[path] != before[path]] == [
        f"{FOLDER}/tenants/billing/tenant.yaml"
    ]


def test_all_of_it_is_in_the_teams_namespace(team: Tenant) -> None:
    """Save the wiring of a team that asked for it by name."""
    wiring = {"ServiceAccount", "GitRepository", "Kustomization"}
    for item in tenant_manifests.documents(team):
        assert item["metadata"]["labels"][tenant_manifests.LABEL] == team.name
        if item["kind"] == "Namespace":
            assert item["metadata"]["name"] == team.namespace
        else:
            where = team.flux_namespace if item["kind"] in wiring else team.namespace
            assert item["metadata"]["namespace"] == where
    assert (team.flux_namespace == "flux-system") is (team.name == "legacy")


def test_its_rights_do_not_reach_the_fence(team: Tenant) -> None:
    role, binding, account = (one(team, k) for k in ("Role", "RoleBinding", "ServiceAccount"))
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    metadata = account["metadata"]
    assert binding["subjects"] == [
        {
            "kind": "ServiceAccount",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
        }
    ]
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        assert not {"*", "impersonate", "bind", "escalate"} & set(rule["verbs"])
        (group,) = rule["apiGroups"]
        assert not group.endswith(FENCE_GROUPS)
        forbidden = {*FENCE_RESOURCES, "*", "serviceaccounts", "serviceaccounts/token"}
        assert not forbidden & set(rule["resources"])
        assert not any("/" in resource for resource in rule["resources"])


def test_a_role_may_reach_the_outside_only_when_published(team: Tenant) -> None:
    resources = {name for rule in one(team, "Role")["rules"] for name in rule["resources"]}
    assert ({"ingresses", "httproutes"} <= resources) is (team.name == "audit")
    assert ("certificates" in resources) is (team.name == "audit")


def test_nothing_in_and_nothing_out_but_dns_and_its_own_pods(team: Tenant) -> None:
    deny, own = objects(team, "NetworkPolicy")
    assert deny["spec"]["podSelector"] == own["spec"]["podSelector"] == {}
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny["spec"]
    (egress,) = deny["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in egress["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert own["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert own["spec"]["egress"] == [{"to": [{"podSelector": {}}]}]


def test_what_it_may_use(team: Tenant) -> None:
    quota, critical = objects(team, "ResourceQuota")
    assert quota["spec"]["hard"] == team.quota
    assert quota["spec"]["hard"]["pods"] == ("40" if team.name == "audit" else "15")
    assert "scopeSelector" not in quota["spec"]
    assert critical["spec"]["hard"] == {"pods": "0"}
    (limits,) = one(team, "LimitRange")["spec"]["limits"]
    assert limits == {"type": "Container", **team.limits}


def test_the_pair(team: Tenant) -> None:
    source, kustomization = tenant_manifests.sync(team)
    assert kustomization["spec"]["sourceRef"] == {
        "kind": "GitRepository",
        "name": source["metadata"]["name"],
    }
    assert source["metadata"]["namespace"] == kustomization["metadata"]["namespace"]
    assert kustomization["spec"]["targetNamespace"] == team.namespace
    assert (
        kustomization["spec"]["serviceAccountName"]
        == one(team, "ServiceAccount")["metadata"]["name"]
    )
    assert kustomization["spec"]["prune"] is True
    assert source["spec"].get("secretRef") == (
        None if team.name == "legacy" else {"name": team.source}
    )
    suspended = (source["spec"].get("suspend"), kustomization["spec"].get("suspend"))
    assert suspended == ((True, True) if team.name == "audit" else (None, None))


def test_the_seeds_pair_can_be_had(stack: Stack) -> None:
    """Its names, intervals, path and target; and an account, which the lockdown asks for."""
    (legacy,) = (team for team in tenants_of(stack) if team.in_flux_system)
    source, kustomization = tenant_manifests.sync(legacy)
    assert (source["metadata"]["name"], source["metadata"]["namespace"]) == (
        "legacy-repo",
        "flux-system",
    )
    assert source["spec"] == {
        "interval": "1m",
        "url": "https://github.com/acme/legacy-apps",
        "ref": {"branch": "main"},
    }
    assert kustomization["metadata"]["name"] == "legacy-apps"
    assert kustomization["metadata"]["namespace"] == "flux-system"
    spec = kustomization["spec"]
    assert (spec["interval"], spec["path"], spec["prune"], spec["targetNamespace"]) == (
        "5m",
        "./deploy/prod",
        True,
        "legacy-prod",
    )
    text = tree.render(stack, None)[f"{FOLDER}/tenants/legacy/tenant.yaml"]
    assert text.splitlines()[1] == (
        "# In flux-system: its pipelines still look for it there, until ticket #42"
    )


def test_of_a_team_to_keep_only_the_wiring_may_go(stack: Stack) -> None:
    kept, others = "kustomize.toolkit.fluxcd.io/prune", {"billing": False, "audit": True}
    for found in tenants_of(stack):
        stays = {
            f"{item['kind']}/{item['metadata']['name']}"
            for item in tenant_manifests.documents(found)
            if item["metadata"].get("annotations", {}).get(kept) == "disabled"
        }
        policy = one(found, "Kustomization")["spec"].get("deletionPolicy")
        if others.get(found.name):
            assert policy == "Orphan"
            assert stays == {
                f"Namespace/{found.namespace}", "ResourceQuota/tenant", "LimitRange/tenant",
                "ResourceQuota/no-critical-pods", "NetworkPolicy/default-deny",
                "NetworkPolicy/own-namespace",
            }  # fmt: skip
        else:
            assert (policy, stays) == (None, set())


def test_no_secret_is_in_git(stack: Stack) -> None:
    for text in tree.render(stack, None).values():
        assert "c2VjcmV0" not in text
        assert not any(item["kind"] == "Secret" for item in yaml.safe_load_all(text))


def test_nothing_is_wrong_with_it(stack: Stack) -> None:
    """Every tenant's file is looked at; the teams' own repositories are not here."""
    report = check_stacks(TENANCY, [(stack, None)], lambda _: None)
    assert report.findings == []
    # Fewer would mean that something was not looked at.
    assert report.objects == 8 + 3 * (1 + 11)


def test_a_mistake_in_it_would_be_found(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = tenant_manifests.documents

    def broken(team: Tenant) -> list[tenant_manifests.Document]:
        found = documents(team)
        found[-1]["spec"]["targetNamespce"] = found[-1]["spec"].pop("targetNamespace")
        return found

    monkeypatch.setattr(tenant_manifests, "documents", broken)
    report = check_stacks(TENANCY, [(stack, None)], lambda _: None)
    assert {finding.file for finding in report.findings} == {
        f"{FOLDER}/tenants/{name}" for name in ("audit", "billing", "legacy")
    }
    assert len(report.findings) == 3
