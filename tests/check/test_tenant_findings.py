"""Test what the fence refuses among the objects of a tenant, with the real kustomize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.check import tenant_findings
from fleet.check.run import Options, check_stacks
from fleet.config import load
from fleet.config.models import Stack
from tests.check.end_to_end import healthy_files
from tests.check.tenant_support import (
    SECURITY,
    TOKEN,
    URL,
    check,
    clone,
    folder,
    found,
    pod,
    register,
    thing,
    workload,
)
from tests.support import TENANCY, config_map, manifest, stack_file, write

RBAC = "rbac.authorization.k8s.io"
HELM = "helm.toolkit.fluxcd.io"


class TestKinds:
    NEVER = "are reserved for the platform; remove it"
    NOT_YET = "; remove it, or ask the platform for another role or for extraKinds"

    @pytest.mark.parametrize(
        ("api", "kind", "said"),
        [
            (f"{RBAC}/v1", "ClusterRole", f"clusterroles.{RBAC} {NEVER}"),
            (f"{RBAC}/v1", "RoleBinding", f"rolebindings.{RBAC} {NEVER}"),
            ("v1", "Namespace", f"namespaces {NEVER}"),
            ("v1", "LimitRange", f"limitranges {NEVER}"),
            ("networking.k8s.io/v1", "NetworkPolicy", f"networkpolicies.networking.k8s.io {NEVER}"),
            (f"{HELM}/v2", "HelmRelease", f"helmreleases.{HELM} {NEVER}"),
            ("v1", "ServiceAccount", f"the tenant's role does not allow serviceaccounts{NOT_YET}"),
            ("apps/v1", "DaemonSet", f"the tenant's role does not allow daemonsets.apps{NOT_YET}"),
            (
                "networking.k8s.io/v1",
                "Ingress",
                f"the tenant's role does not allow ingresses.networking.k8s.io{NOT_YET}",
            ),
            # A role allows a kind of one API group, not the same kind of another.
            (
                "example.com/v1",
                "ConfigMap",
                f"the tenant's role does not allow configmaps.example.com{NOT_YET}",
            ),
        ],
    )
    def test_a_kind_that_is_not_allowed(
        self, api: str, kind: str, said: str, checkout: Path
    ) -> None:
        (line,) = found(checkout, folder(thing(api, kind)))
        assert line.endswith(f": {said}")
        assert line.startswith(f"{kind} ")

    def test_a_kind_that_it_may_only_read(self, checkout: Path) -> None:
        """Rights to read a kind are not enough to apply it."""
        (said,) = found(checkout, folder(thing("v1", "Pod", spec=pod())))
        assert "does not allow pods" in said

    def test_more_kinds(self, checkout: Path) -> None:
        extra = (
            ", role: published, extraKinds: [{apiGroup: '', resources: [pods, serviceaccounts]}]"
        )
        register(checkout, more=extra)
        objects = [
            thing("v1", "Pod", spec=pod() | {"serviceAccountName": "b"}),
            thing("v1", "ServiceAccount", "b"),
            thing("networking.k8s.io/v1", "Ingress"),
            thing("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ]
        assert found(checkout, folder(*objects)) == []

    def test_a_pod_by_itself_is_refused_as_a_whole(self, checkout: Path) -> None:
        register(checkout, more=", extraKinds: [{apiGroup: '', resources: [pods]}]")
        broken = thing("v1", "Pod", spec=pod(securityContext=SECURITY | {"privileged": True}))
        (said,) = found(checkout, folder(broken))
        assert said.startswith("Pod billing-dev/a: refused: Pod Security restricted: ")

    def test_a_kind_of_the_whole_cluster(self, checkout: Path) -> None:
        """A Role never gives rights to such a kind."""
        extra = ", extraKinds: [{apiGroup: storage.k8s.io, resources: [storageclasses]}]"
        register(checkout, more=extra)
        assert found(checkout, folder(thing("storage.k8s.io/v1", "StorageClass"))) == [
            "StorageClass a: storageclasses.storage.k8s.io are cluster-wide, and the tenant has "
            "rights only in its namespace; remove it"
        ]

    def test_a_finding_has_no_line_breaks(self, checkout: Path) -> None:
        broken = pod() | {"priorityClassName": "a", "serviceAccountName": "b\nc: d"}
        (said,) = found(checkout, folder(workload(broken)))
        assert "ServiceAccount b c: d;" in said

    def test_an_object_of_the_fence(self, checkout: Path) -> None:
        """The fence is protected even if extraKinds allow its kind."""
        register(checkout, more=", extraKinds: [{apiGroup: '', resources: [serviceaccounts]}]")
        assert found(checkout, folder(thing("v1", "ServiceAccount", "tenant"))) == [
            "ServiceAccount billing-dev/tenant: is part of the tenant's fence, which only the "
            "platform changes; remove it"
        ]

    def test_a_refused_object_uses_no_quota(self, checkout: Path) -> None:
        big = workload(pod(), kind="DaemonSet", replicas=1000)
        assert len(found(checkout, folder(big))) == 1


class TestPods:
    @pytest.mark.parametrize(
        ("api", "kind"),
        [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"),
         ("batch/v1", "CronJob")],
    )  # fmt: skip
    def test_pod_security(self, api: str, kind: str, checkout: Path) -> None:
        """Kubernetes accepts the workload and refuses its pods."""
        spec: dict[str, Any] = {"template": {"spec": pod() | {"hostNetwork": True}}}
        spec = {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec
        assert found(checkout, folder(thing(api, kind, spec=spec))) == [
            f"{kind} billing-dev/a: accepted, but its pods are refused: Pod Security restricted: "
            "the pod has hostNetwork: true; remove it"
        ]

    def test_the_level_of_the_tenant(self, checkout: Path) -> None:
        plain = workload({"containers": [{"name": "a", "image": "a"}]})
        assert len(found(checkout, folder(plain))) == 4
        register(checkout, more=", podSecurity: baseline")
        assert found(checkout, folder(plain)) == []

    def test_limits(self, checkout: Path) -> None:
        register(checkout, more=", limits: {max: {memory: 128Mi}, default: {memory: 64Mi}}")
        asked = workload(pod(resources={"limits": {"memory": "256Mi"}}))
        assert found(checkout, folder(asked)) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: container a: "
            "limits.memory 256Mi exceeds the 128Mi of one container; lower it"
        ]

    @pytest.mark.parametrize("name", ["system-node-critical", "system-cluster-critical"])
    def test_priority(self, name: str, checkout: Path) -> None:
        assert found(checkout, folder(workload(pod() | {"priorityClassName": name}))) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: priorityClassName "
            f"{name} is reserved for the cluster's own pods; remove it"
        ]
        assert found(checkout, folder(workload(pod() | {"priorityClassName": "low"}))) == []

    def test_an_unknown_account(self, checkout: Path) -> None:
        assert found(checkout, folder(workload(pod() | {"serviceAccountName": "b"}))) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: the namespace has no "
            "ServiceAccount b; remove serviceAccountName"
        ]
        for account in ("tenant", "default"):
            own = workload(pod() | {"serviceAccountName": account})
            assert found(checkout, folder(own)) == []

    def test_quota(self, checkout: Path) -> None:
        """The quota counts all objects, with the default requests of the namespace."""
        register(checkout, more=", quota: {requests.cpu: 100m}")
        objects = [workload(pod(), replicas=2), workload(pod(), kind="StatefulSet")]
        assert found(checkout, folder(*objects)) == [
            "ResourceQuota tenant: 0.15 requests.cpu in all (Deployment billing-dev/a: 0.1, "
            "StatefulSet billing-dev/a: 0.05) exceed the quota of 100m; Kubernetes accepts the "
            "workloads and refuses the pods beyond it; use less, or ask the platform for more"
        ]

    @pytest.mark.parametrize(
        ("kind", "credentials", "held"),
        [("ConfigMap", "", True), ("Secret", TOKEN, True), ("Secret", "", False)],
    )
    def test_quota_with_objects_of_the_platform(
        self, kind: str, credentials: str, held: bool, checkout: Path
    ) -> None:
        """The namespace has kube-root-ca.crt, and the Secret with which Flux reads."""
        register(checkout, more=f", quota: {{{kind.lower()}s: 1}}", credentials=credentials)
        said = found(checkout, folder(thing("v1", kind)))
        assert ["the platform: 1)" in line for line in said] == ([True] if held else [])


class TestTenants:
    def stack(self) -> Stack:
        return load.stack(TENANCY, "prod-us-east-1")

    def test_each_by_its_own_fence(self, tmp_path: Path) -> None:
        """Only audit may have an Ingress. legacy is set up in flux-system."""
        ingress = manifest("networking.k8s.io/v1", "Ingress", "a")
        for name, path in (
            ("audit", "manifests/production"),
            ("billing", "deploy/prod"),
            ("legacy", "deploy/prod"),
        ):
            write(tmp_path, {f"{name}-apps/{path}/a.yaml": ingress})
        result = tenant_findings.check_tenants(tmp_path, [self.stack()])
        assert (result.checked, result.not_checked) == (3, [])
        assert [(finding.file, finding.object) for finding in sorted(result.findings)] == [
            ("billing-apps/deploy/prod", "Ingress billing-prod/a"),
            ("legacy-apps/deploy/prod", "Ingress legacy-prod/a"),
        ]

    def test_a_tenant_without_a_clone(self, tmp_path: Path) -> None:
        write(tmp_path, {"billing-apps/deploy/prod/a.yaml": config_map("a", "")})
        result = tenant_findings.check_tenants(tmp_path, [self.stack(), self.stack()])
        assert result.findings == []
        assert (result.checked, len(result.objects)) == (2, 2)
        assert result.not_checked == [
            f"{name}: no clone in {tmp_path}/{name}-apps, not checked"
            for name in ("audit", "legacy")
        ]

    @pytest.mark.parametrize(
        "url", [f"{URL}.git", f"{URL}/", "ssh://git@github.com:22/acme/billing-apps.git"]
    )
    def test_the_folder_is_as_git_names_it(self, url: str, checkout: Path) -> None:
        register(
            checkout,
            credentials=TOKEN.replace("{token: {secure: c2VjcmV0}}", "{privateKey: {secure: c2Vj"
                                      "cmV0}, knownHosts: h ssh-rsa A}") if "ssh" in url else "",
            url=url,
        )  # fmt: skip
        assert check(checkout, healthy_files()).checked == 1

    def test_one_folder_for_two_repositories(self, tmp_path: Path, checkout: Path) -> None:
        tenants = "".join(
            f"    - {{name: {name}, repository: {{url: https://github.com/{name}/apps}}}}\n"
            for name in ("one", "two")
        )
        more = f"  fleet:tenants:\n{tenants}"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        (tmp_path / "apps").mkdir()
        result = tenant_findings.check_tenants(tmp_path, [load.stack(checkout, "dev")])
        assert (result.checked, result.findings) == (0, [])
        assert result.not_checked == [
            f"{name}: {tmp_path}/apps may be a clone of https://github.com/one/apps or "
            "https://github.com/two/apps, not checked"
            for name in ("one", "two")
        ]


def test_schemas_hold_for_tenants(checkout: Path) -> None:
    register(checkout)
    clones = clone(checkout, folder(thing("apps/v1", "Deploymnt")))
    stack = load.stack(checkout, "dev")
    (checkout / "Pulumi.prod.yaml").unlink()
    report = check_stacks(checkout, [(stack, None)], lambda _: None, Options(clones=clones))
    assert [f.problem for f in report.findings if "no kind" in f.problem] == [
        "apps/v1 has no kind Deploymnt; check apiVersion and kind"
    ]
