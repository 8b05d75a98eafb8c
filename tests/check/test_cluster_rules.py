"""Test the rules about a checkout and about the objects of one cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.support import APPS, INFRA, check, flux_kustomization
from tests.support import config_map, definition, helm_release, manifest, namespace

# These tests run programs or servers.
pytestmark = pytest.mark.slow


class TestNamespaces:
    def test_the_first_promotion_without_its_namespace(self, checkout: Path) -> None:
        """The cluster dev gets foo-app, but only test has its namespace."""
        files = definition("apps/foo-app/base", config_map("foo", "foo"))
        assert check(checkout, files, apps="foo-app/base") == [
            f"{APPS}: ConfigMap foo/foo: namespace foo is not created in this cluster; "
            "add its folder to fleet:infrastructure in Pulumi.dev.yaml "
            "(infrastructure/namespaces/test-only has it)"
        ]

    def test_a_namespace_that_no_definition_creates(self, checkout: Path) -> None:
        files = definition("apps/foo-app/base", config_map("foo", "bar"))
        (found,) = check(checkout, files, apps="foo-app/base")
        assert found.endswith("(no shared definition has it yet)")

    def test_in_a_later_stage(self, checkout: Path) -> None:
        files = definition("apps/foo-app/base", config_map("foo", "foo"))
        files |= definition("infrastructure/controllers/foo", config_map("controller", "late"))
        files |= definition("apps/late", namespace("late"))
        infrastructure = "namespaces/common controllers/foo"
        assert check(checkout, files, infrastructure=infrastructure, apps="late") == [
            f"{INFRA}: ConfigMap late/controller: namespace late comes only in a later stage; "
            "move it to namespaces/"
        ]

    def test_in_the_same_stage(self, checkout: Path) -> None:
        """Flux applies the namespaces of a stage first."""
        files = definition("apps/foo-app/base", namespace("foo") + "---\n" + config_map("a", "foo"))
        assert check(checkout, files, apps="foo-app/base") == []

    @pytest.mark.parametrize("name", ["default", "kube-system", "flux-system"])
    def test_a_namespace_of_every_cluster(self, name: str, checkout: Path) -> None:
        assert check(checkout, definition("apps/a", config_map("a", name)), apps="a") == []

    def test_the_target_of_a_helm_release(self, checkout: Path) -> None:
        release = helm_release("chart", "common", "  targetNamespace: foo\n")
        (found,) = check(checkout, definition("apps/a", release), apps="a")
        assert found.startswith(f"{APPS}: HelmRelease common/chart: namespace foo is not created")

    def test_a_target_that_helm_creates(self, checkout: Path) -> None:
        spec = "  targetNamespace: foo\n  install: {createNamespace: true}\n"
        release = helm_release("chart", "common", spec)
        assert check(checkout, definition("apps/a", release), apps="a") == []

    def test_the_namespace_of_a_helm_release_itself(self, checkout: Path) -> None:
        """Helm creates the target namespace, not the release's own."""
        spec = "  targetNamespace: foo\n  install: {createNamespace: true}\n"
        release = helm_release("chart", "bar", spec)
        found, _ = check(checkout, definition("apps/a", release), apps="a")
        assert found.startswith(f"{APPS}: HelmRelease bar/chart: namespace bar is not created")


class TestFluxObjects:
    def test_the_same_object_twice(self, checkout: Path) -> None:
        files = definition("infrastructure/controllers/podinfo", config_map("podinfo", "common"))
        assert check(checkout, files, infrastructure="namespaces/common controllers/podinfo") == [
            f"{APPS}: ConfigMap common/podinfo: is also delivered by {INFRA}, and each "
            "overwrites the other; keep one"
        ]

    def test_the_same_name_in_another_group_is_another_object(self, checkout: Path) -> None:
        sources = [
            manifest(
                "source.toolkit.fluxcd.io/v1",
                "HelmRepository",
                "podinfo",
                "common",
                "spec: {url: 'https://charts.example.com', interval: 1h}\n",
            ),
            manifest("v1", "ConfigMap", "podinfo", "flux-system"),
        ]
        files = definition("infrastructure/controllers/a", "---\n".join(sources))
        assert check(checkout, files, infrastructure="namespaces/common controllers/a") == []

    def test_depends_on_unknown(self, checkout: Path) -> None:
        spec = "  dependsOn: [{name: infra}, {name: databases}]\n"
        files = definition("apps/a", flux_kustomization("a", spec))
        assert check(checkout, files, apps="a") == [
            f"{APPS}: Kustomization flux-system/a: dependsOn names databases, which this cluster "
            "does not have; correct it"
        ]

    def test_a_helm_release_that_depends_on_an_unknown_one(self, checkout: Path) -> None:
        """The dependency must be a HelmRelease; infra is a Kustomization."""
        text = helm_release("a", "flux-system", "  dependsOn: [{name: infra}]\n")
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease flux-system/a: dependsOn names infra, which this cluster does "
            "not have; correct it"
        ]

    def test_a_helm_release_that_depends_on_another(self, checkout: Path) -> None:
        spec = "  dependsOn: [{name: b, namespace: common}]\n"
        text = helm_release("a", "flux-system", spec) + "---\n" + helm_release("b", "common", "")
        assert check(checkout, definition("apps/a", text), apps="a") == []

    def test_without_an_account_flux_has_no_rights(self, checkout: Path) -> None:
        text = flux_kustomization("a", "") + "---\n" + helm_release("b", "common", "")
        text = text.replace("  serviceAccountName: platform\n", "")
        said = (
            "spec.serviceAccountName is missing, so Flux has no right to apply it; "
            "set it, in flux-system to platform"
        )
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/b: {said}",
            f"{APPS}: Kustomization flux-system/a: {said}",
        ]

    @pytest.mark.parametrize("inside", ["chartRef", "sourceRef"])
    def test_a_source_of_another_namespace(self, inside: str, checkout: Path) -> None:
        text = helm_release("a", "common", "")
        reference = "{kind: HelmRepository, name: chart, namespace: flux-system}"
        if inside == "sourceRef":
            chart = f"chart: {{spec: {{chart: a, sourceRef: {reference}}}}}"
        else:
            chart = f"chartRef: {reference.replace('HelmRepository', 'OCIRepository')}"
        text = text.replace("chartRef: {kind: OCIRepository, name: a}", chart)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/a: {inside} names namespace flux-system, which Flux "
            "refuses; keep the source in the same namespace"
        ]

    def test_a_source_of_its_own_namespace_by_name(self, checkout: Path) -> None:
        text = helm_release("a", "common", "").replace("name: a}", "name: a, namespace: common}")
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestCheckout:
    def test_a_folder_of_no_stack(self, checkout: Path) -> None:
        files = {
            "clusters/old/kustomization.yaml": "left over\n",
        }
        assert check(checkout, files) == [
            "clusters/old: belongs to no stack; add Pulumi.old.yaml or remove the folder"
        ]

    def test_the_folder_that_a_renamed_stack_leaves(self, checkout: Path) -> None:
        files = {"clusters/old/kustomization.yaml": "left over\n"}
        more = ", environment: dev, movesFrom: {stack: old}"
        assert check(checkout, files, cluster=more) == []
