"""Test the rules about objects that Flux needs: sources, values, decryption and namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.support import APPS, CRD, INFRA, check, flux_kustomization
from tests.support import config_map, definition, helm_release, kustomization, manifest, namespace

# These tests run programs or servers.
pytestmark = pytest.mark.slow

ACTION = "which this cluster does not have; add it or correct the name"


class TestSources:
    @pytest.mark.parametrize("kind", ["GitRepository", "OCIRepository", "Bucket"])
    def test_of_a_kustomization(self, kind: str, checkout: Path) -> None:
        text = flux_kustomization("a", "").replace(
            "kind: GitRepository, name: flux-system", f"kind: {kind}, name: nothing"
        )
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: Kustomization flux-system/a: sourceRef names {kind} nothing, {ACTION}"
        ]

    def test_of_a_chart(self, checkout: Path) -> None:
        chart = "chart: {spec: {chart: a, sourceRef: {kind: HelmRepository, name: a}}}"
        text = helm_release("a", "common", "")
        text = text.replace("chartRef: {kind: OCIRepository, name: a}", chart)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/a: sourceRef names HelmRepository a, {ACTION}"
        ]

    def test_of_a_chart_by_reference(self, checkout: Path) -> None:
        text = helm_release("a", "common", "").partition("---\n")[0]
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/a: chartRef names OCIRepository a, {ACTION}"
        ]

    def test_in_another_namespace(self, checkout: Path) -> None:
        """A source of the same name in another namespace is not the one that is named."""
        release, _, source = helm_release("a", "common", "").partition("---\n")
        text = f"{release}---\n{source.replace('common', 'default')}"
        (found,) = check(checkout, definition("apps/a", text), apps="a")
        assert found.endswith(f"chartRef names OCIRepository a, {ACTION}")

    def test_that_a_controller_makes(self, checkout: Path) -> None:
        text = helm_release("a", "common", "").partition("---\n")[0]
        text = text.replace("OCIRepository", "ExternalArtifact")
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestValues:
    @pytest.mark.parametrize(
        ("source", "is_missing"),
        [
            ("{kind: ConfigMap, name: b}", True),
            ("{kind: ConfigMap, name: b, optional: true}", False),
            ("{kind: ConfigMap, name: podinfo}", False),
            # Secrets are often in no repository.
            ("{kind: Secret, name: b}", False),
        ],
    )
    def test_of_a_helm_release(self, source: str, is_missing: bool, checkout: Path) -> None:
        text = helm_release("a", "common", f"  valuesFrom: [{source}]\n")
        found = check(checkout, definition("apps/a", text), apps="a podinfo/base")
        line = f"{APPS}: HelmRelease common/a: valuesFrom names ConfigMap b, {ACTION}"
        assert found == ([line] if is_missing else [])

    def test_of_variables(self, checkout: Path) -> None:
        spec = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: b}]}\n"
        assert check(checkout, definition("apps/a", flux_kustomization("a", spec)), apps="a") == [
            f"{APPS}: Kustomization flux-system/a: substituteFrom names ConfigMap b, {ACTION}"
        ]


class TestWithoutNamespace:
    PROBLEM = "has no namespace, which Flux refuses; add metadata.namespace"

    @pytest.mark.parametrize(
        ("api", "kind", "more"),
        [
            ("v1", "ConfigMap", ""),
            ("networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {}}\n"),
            (
                "source.toolkit.fluxcd.io/v1",
                "OCIRepository",
                "spec: {interval: 5m, url: oci://charts.example.com/chart}\n",
            ),
        ],
    )
    def test_of_a_namespaced_kind(self, api: str, kind: str, more: str, checkout: Path) -> None:
        text = manifest(api, kind, "a", "", more)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: {kind} a: {self.PROBLEM}"
        ]

    @pytest.mark.parametrize(
        ("api", "kind", "more"),
        [
            ("v1", "Namespace", ""),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", "rules: []\n"),
            ("scheduling.k8s.io/v1", "PriorityClass", "value: 1\n"),
            # Nothing is known about this kind.
            ("example.com/v1", "Thing", ""),
        ],
    )
    def test_of_any_other_kind(self, api: str, kind: str, more: str, checkout: Path) -> None:
        text = manifest(api, kind, "a", "", more)
        assert check(checkout, definition("apps/a", text), apps="a") == []

    @pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
    def test_of_a_kind_of_the_repository(self, scope: str, checkout: Path) -> None:
        text = f"{CRD.replace('Namespaced', scope)}---\n"
        text += manifest("example.com/v1", "Widget", "a", "", "spec: {size: 1}\n")
        line = f"{APPS}: Widget a: {self.PROBLEM}"
        found = check(checkout, definition("apps/a", text), apps="a")
        assert found == ([line] if scope == "Namespaced" else [])


class TestEncryption:
    SECRET = manifest(
        "v1",
        "Secret",
        "b",
        "common",
        "data: {key: 'ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]'}\n"
        "sops: {mac: a, version: 3.9.0, lastmodified: '2026-01-01T00:00:00Z'}\n",
    )

    def test_with_decryption(self, checkout: Path) -> None:
        spec = "  decryption: {provider: sops, secretRef: {name: keys}}\n"
        files = definition("apps/a", flux_kustomization("a", spec, path="./apps/b"))
        files |= definition("apps/b", self.SECRET)
        assert check(checkout, files, apps="a") == []

    def test_encrypted_values_of_any_type(self, checkout: Path) -> None:
        number = "'ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:int]'"
        text = manifest("v1", "Service", "b", "common", f"spec: {{ports: [{{port: {number}}}]}}\n")
        text += "sops: {mac: a}\n"
        spec = "  decryption: {provider: sops}\n"
        files = definition("apps/a", flux_kustomization("a", spec, path="./apps/b"))
        files |= definition("apps/b", text)
        assert check(checkout, files, apps="a") == []

    def test_without_decryption(self, checkout: Path) -> None:
        """Flux refuses such a Secret, and with it the whole stage."""
        assert check(checkout, definition("apps/b", self.SECRET), apps="b") == [
            f"{APPS}: Secret common/b: is encrypted with SOPS, which Flux refuses here; apply its "
            "folder with a Flux Kustomization that has spec.decryption"
        ]


class TestNamespacesOfHelm:
    RELEASE = helm_release(
        "a", "common", "  targetNamespace: made\n  install: {createNamespace: true}\n"
    )

    def test_in_an_earlier_stage(self, checkout: Path) -> None:
        files = definition("infrastructure/controllers/a", self.RELEASE)
        files |= definition("apps/b", config_map("b", "made"))
        infrastructure = "namespaces/common controllers/a"
        assert check(checkout, files, infrastructure=infrastructure, apps="b") == []

    def test_in_the_same_stage(self, checkout: Path) -> None:
        """Flux refuses the whole stage, so that Helm never creates the namespace."""
        files = definition("apps/a", self.RELEASE)
        files |= definition("apps/b", config_map("b", "made"))
        assert check(checkout, files, apps="a b") == [
            f"{APPS}: ConfigMap made/b: namespace made is created only by Helm, after Flux has "
            "applied this stage; add it to namespaces/"
        ]

    def test_in_a_later_stage(self, checkout: Path) -> None:
        files = definition("infrastructure/controllers/b", config_map("b", "made"))
        files |= definition("apps/a", self.RELEASE)
        infrastructure = "namespaces/common controllers/b"
        assert check(checkout, files, infrastructure=infrastructure, apps="a") == [
            f"{INFRA}: ConfigMap made/b: namespace made comes only in a later stage; move it to "
            "namespaces/"
        ]

    def test_also_as_a_namespace(self, checkout: Path) -> None:
        files = definition("apps/a", self.RELEASE + "---\n" + namespace("made"))
        files |= definition("apps/b", config_map("b", "made"))
        assert check(checkout, files, apps="a b") == []

    def test_in_another_path_of_flux(self, checkout: Path) -> None:
        """Nothing says in which order Flux applies these two."""
        files = {
            "apps/a/kustomization.yaml": kustomization("one.yaml", "two.yaml"),
            "apps/a/one.yaml": flux_kustomization("one", "", path="./apps/b"),
            "apps/a/two.yaml": flux_kustomization(
                "two", "  dependsOn: [{name: one}]\n", path="./apps/c"
            ),
        }
        files |= definition("apps/b", self.RELEASE)
        files |= definition("apps/c", config_map("c", "made"))
        assert check(checkout, files, apps="a") == []


@pytest.mark.parametrize(
    "spec",
    [
        "  dependsOn: [infra]\n",
        "  dependsOn: [{name: [a], namespace: {b: c}}]\n",
        "  sourceRef: flux-system\n",
        "  sourceRef: {kind: [a], name: {b: c}, namespace: [d]}\n",
        "  postBuild: {substituteFrom: {a: b}}\n",
        "  postBuild: [a]\n",
        "  targetNamespace: [a]\n",
        "  path: [a]\n",
        "  path: 1\n",
    ],
)
def test_fields_of_a_wrong_type(spec: str, checkout: Path) -> None:
    """Each is a finding of the schema, and no rule fails."""
    key = spec.partition(":")[0].strip()
    text = flux_kustomization("a", "")
    text = "".join(line for line in text.splitlines(True) if not line.startswith(f"  {key}:"))
    found = check(checkout, definition("apps/a", text + spec), apps="a")
    assert any(f"Kustomization flux-system/a: spec.{key}" in line for line in found)
