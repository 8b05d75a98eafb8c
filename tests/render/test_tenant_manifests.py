"""The objects of a tenant: rules for every tenant. The golden files are in `tenancy/`."""

from __future__ import annotations

import pytest
import yaml

from fleet.check.run import check_stacks
from fleet.config.models import Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.config.tenant_models import FENCE_GROUPS, FENCE_RESOURCES
from fleet.kube.manifest import Manifest
from fleet.render import commit_order, flux, tenant_manifests, tree
from tests.render.support import TENANCY_STACK, manifest_in, no_objects, resources_in
from tests.support import TENANCY

FOLDER = f"clusters/{TENANCY_STACK}"


@pytest.fixture(params=["audit", "billing", "legacy"])
def tenant(tenancy: Stack, request: pytest.FixtureRequest) -> Tenant:
    return tenant_named(tenancy, request.param)


def tenant_named(stack: Stack, name: str) -> Tenant:
    (found,) = (tenant for tenant in tenants_of(stack) if tenant.name == name)
    return found


def objects(tenant: Tenant, kind: str) -> list[Manifest]:
    return [item for item in tenant_manifests.manifests_of(tenant) if item["kind"] == kind]


def one(tenant: Tenant, kind: str) -> Manifest:
    (found,) = objects(tenant, kind)
    return found


def test_a_tenant_is_applied_beside_apps_and_nothing_waits_for_it(tenancy: Stack) -> None:
    """A broken tenant leaves the Kustomizations of other tenants and of the platform ready."""
    files = tree.render(tenancy, None)
    assert resources_in(files[f"{FOLDER}/tenants/kustomization.yaml"]) == [
        "audit.yaml",
        "billing.yaml",
        "legacy.yaml",
    ]
    for tenant in ("audit", "billing", "legacy"):
        spec = manifest_in(files[f"{FOLDER}/tenants/{tenant}.yaml"])["spec"]
        assert (spec["wait"], spec["dependsOn"]) == (False, [{"name": "infra"}])
        assert spec["path"] == f"./{FOLDER}/tenants/{tenant}"
        assert spec["serviceAccountName"] == "platform"
        assert "healthChecks" not in spec
    for name in ("infra", "apps"):
        dependencies = manifest_in(files[f"{FOLDER}/{name}.yaml"])["spec"].get("dependsOn", [])
        assert not [needed for needed in dependencies if "tenant" in needed["name"]]


def test_a_tenant_is_committed_before_the_list_that_names_it(tenancy: Stack) -> None:
    waves = commit_order.commit_waves(tenancy, tree.render(tenancy, None), {}, no_objects)
    positions = {commit.path: index for index, wave in enumerate(waves) for commit in wave}
    tenants_list = positions[f"{FOLDER}/tenants/kustomization.yaml"]
    assert positions[f"{FOLDER}/tenants/billing.yaml"] < tenants_list
    assert positions[f"{FOLDER}/tenants/billing/tenant.yaml"] < tenants_list
    assert tenants_list < positions[f"{FOLDER}/kustomization.yaml"]


def test_a_change_of_one_tenant_changes_one_file(tenancy: Stack) -> None:
    before = tree.render(tenancy, None)
    tenants = tuple(
        tenant.model_copy(update={"suspend": True}) if tenant.name == "billing" else tenant
        for tenant in tenancy.config.tenants
    )
    config = tenancy.config.model_copy(update={"tenants": tenants})
    changed = type(tenancy)(name=tenancy.name, file=tenancy.file, config=config)
    after = tree.render(changed, None)
    assert [path for path in after if after[path] != before[path]] == [
        f"{FOLDER}/tenants/billing/tenant.yaml"
    ]


def test_all_objects_are_in_the_namespace_of_the_tenant(tenant: Tenant) -> None:
    """Flux's objects of a tenant with `inFluxSystem` are the exception."""
    for_flux = {"ServiceAccount", "GitRepository", "Kustomization"}
    for item in tenant_manifests.manifests_of(tenant):
        assert item["metadata"]["labels"][flux.TENANT_LABEL] == tenant.name
        if item["kind"] == "Namespace":
            assert item["metadata"]["name"] == tenant.namespace
        else:
            namespaced = item["kind"] not in for_flux
            where = tenant.namespace if namespaced else tenant.flux_namespace
            assert item["metadata"]["namespace"] == where
    assert (tenant.flux_namespace == "flux-system") is (tenant.name == "legacy")


def test_the_role_allows_nothing_of_the_fence(tenant: Tenant) -> None:
    role, binding, account = (one(tenant, k) for k in ("Role", "RoleBinding", "ServiceAccount"))
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


def test_only_the_published_role_allows_routes_and_ingresses(tenant: Tenant) -> None:
    resources = {name for rule in one(tenant, "Role")["rules"] for name in rule["resources"]}
    assert ({"ingresses", "httproutes"} <= resources) is (tenant.name == "audit")
    assert ("certificates" in resources) is (tenant.name == "audit")


def test_only_dns_and_its_own_pods_can_be_reached(tenant: Tenant) -> None:
    deny, own = objects(tenant, "NetworkPolicy")
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


def test_quotas_and_limits(tenant: Tenant) -> None:
    quota, critical = objects(tenant, "ResourceQuota")
    assert quota["spec"]["hard"] == tenant.quota
    assert quota["spec"]["hard"]["pods"] == ("40" if tenant.name == "audit" else "15")
    assert "scopeSelector" not in quota["spec"]
    assert critical["spec"]["hard"] == {"pods": "0"}
    (limits,) = one(tenant, "LimitRange")["spec"]["limits"]
    assert limits == {"type": "Container", **tenant.limits}


def test_the_source_and_its_kustomization(tenant: Tenant) -> None:
    source, kustomization = tenant_manifests.sync(tenant)
    assert kustomization["spec"]["sourceRef"] == {
        "kind": "GitRepository",
        "name": source["metadata"]["name"],
    }
    assert source["metadata"]["namespace"] == kustomization["metadata"]["namespace"]
    assert kustomization["spec"]["targetNamespace"] == tenant.namespace
    assert (
        kustomization["spec"]["serviceAccountName"]
        == one(tenant, "ServiceAccount")["metadata"]["name"]
    )
    assert kustomization["spec"]["prune"] is True
    assert source["spec"].get("secretRef") == (
        None if tenant.name == "legacy" else {"name": tenant.source}
    )
    suspended = (source["spec"].get("suspend"), kustomization["spec"].get("suspend"))
    assert suspended == ((True, True) if tenant.name == "audit" else (None, None))


def test_source_and_kustomization_can_be_in_flux_system(tenancy: Stack) -> None:
    """Names, intervals, path and target are those that pipelines of the tenant look for."""
    legacy = tenant_named(tenancy, "legacy")
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
    text = tree.render(tenancy, None)[f"{FOLDER}/tenants/legacy/tenant.yaml"]
    assert text.splitlines()[2] == (
        "# In flux-system: its pipelines still look for it there, until ticket #42"
    )


def test_flux_never_removes_the_namespace_of_a_tenant_to_keep(tenancy: Stack) -> None:
    prune = "kustomize.toolkit.fluxcd.io/prune"
    for found in tenants_of(tenancy):
        stays = {
            f"{item['kind']}/{item['metadata']['name']}"
            for item in tenant_manifests.manifests_of(found)
            if item["metadata"].get("annotations", {}).get(prune) == "disabled"
        }
        policy = one(found, "Kustomization")["spec"].get("deletionPolicy")
        if found.name == "audit":
            assert policy == "Orphan"
            assert stays == {
                f"Namespace/{found.namespace}", "ResourceQuota/tenant", "LimitRange/tenant",
                "ResourceQuota/no-critical-pods", "NetworkPolicy/default-deny",
                "NetworkPolicy/own-namespace",
            }  # fmt: skip
        else:
            assert (policy, stays) == (None, set())


def test_no_secret_is_in_git(tenancy: Stack) -> None:
    for text in tree.render(tenancy, None).values():
        assert "c2VjcmV0" not in text
        assert not any(item["kind"] == "Secret" for item in yaml.safe_load_all(text))


def test_check_finds_nothing(tenancy: Stack) -> None:
    """The tenants' files are checked; their repositories are not part of this checkout."""
    report = check_stacks(TENANCY, [(tenancy, None)], lambda _: None)
    assert report.findings == []
    # A smaller number would mean that some objects were not checked.
    assert report.objects == 8 + 3 * (1 + 11)


def test_check_finds_a_mistake_in_every_tenant(
    tenancy: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests_of = tenant_manifests.manifests_of

    def broken(tenant: Tenant) -> list[Manifest]:
        found = manifests_of(tenant)
        found[-1]["spec"]["targetNamespce"] = found[-1]["spec"].pop("targetNamespace")
        return found

    monkeypatch.setattr(tenant_manifests, "manifests_of", broken)
    report = check_stacks(TENANCY, [(tenancy, None)], lambda _: None)
    assert {finding.file for finding in report.findings} == {
        f"{FOLDER}/tenants/{name}" for name in ("audit", "billing", "legacy")
    }
    assert len(report.findings) == 3
