"""The installation of Flux in a cluster."""

from __future__ import annotations

import pytest
import yaml

from tests.components.flux_recording import FLUX_WAVES, applied_objects, record_flux
from tests.components.helpers import (
    APPLY_WAVES,
    FLUX,
    FLUX_SYNC,
    KUBERNETES,
    MANIFESTS,
    PULL,
    PULLED,
    SECRET,
    SYNC,
    as_applied,
    names,
)
from tests.components.recording import UNKNOWN


class TestFluxInstallation:
    def test_the_documents_as_they_are(self) -> None:
        recording = record_flux()
        types = {resource.name: resource.type for resource in applied_objects(recording)}
        assert types == {
            "Namespace/flux-system": "kubernetes:core/v1:Namespace",
            "CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io": (
                "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
            ),
            "ServiceAccount/flux-system/source-controller": "kubernetes:core/v1:ServiceAccount",
            "ClusterRole/crd-controller": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            "Deployment/flux-system/source-controller": "kubernetes:apps/v1:Deployment",
            SYNC[0]: "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository",
            SYNC[1]: "kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization",
        }
        documents = list(yaml.safe_load_all(MANIFESTS))
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert dict(deployment.inputs) == as_applied(documents[0])

    def test_on_the_given_cluster_and_left_to_git(self) -> None:
        """Pulumi uses the given provider, and leaves later changes and the removal to Flux."""
        recording = record_flux(token="hunter2")  # noqa: S106 - a test's
        for resource in [*applied_objects(recording), recording.one(SECRET)]:
            assert resource.provider == recording.one(KUBERNETES).urn
            owner = FLUX_SYNC if resource.name in SYNC else FLUX
            assert recording.by_urn(resource.parent).type == owner
        for resource in applied_objects(recording):
            assert resource.ignore_changes == ("*",)
            assert resource.retain_on_delete
        assert recording.one(SECRET).retain_on_delete

    @pytest.mark.parametrize("preview", [False, True])
    def test_in_an_order_that_kubernetes_can_take(self, preview: bool) -> None:
        recording = record_flux(preview=preview)
        by_name = {resource.name: resource for resource in applied_objects(recording)}
        earlier: set[str] = set()
        for wave in APPLY_WAVES:
            for name in wave:
                assert recording.before(by_name[name]) == earlier
            earlier |= wave
        # The files must be committed before Flux pulls them.
        earlier |= {"committed"}
        by_name[PULLED] = recording.one(PULL)
        # The GitRepository reports why a pull failed, so the Kustomization comes after the pull.
        for name in (SYNC[0], PULLED, SYNC[1]):
            assert recording.before(by_name[name]) == earlier
            earlier |= {name}

    def test_a_wave_without_documents_does_not_lose_the_order(self) -> None:
        recording = record_flux(waves=(FLUX_WAVES[0], (), FLUX_WAVES[2]))
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert recording.before(deployment) == APPLY_WAVES[0]

    def test_the_pull_token_is_a_secret(self) -> None:
        """The Secret exists before Flux pulls, and no other value holds the token."""
        recording = record_flux(token="hunter2")  # noqa: S106 - a test's
        secret = recording.one(SECRET)
        assert secret.name == "Secret/flux-system/flux-system"
        assert secret.inputs["metadata"] == {"name": "flux-system", "namespace": "flux-system"}
        assert secret.inputs["stringData"] == {"username": "git", "password": "hunter2"}
        assert "stringData" in secret.secrets or "stringData.password" in secret.secrets
        assert recording.before(secret) == set().union(*APPLY_WAVES)
        source = recording.one("kubernetes:source.toolkit.fluxcd.io/v1:GitRepository")
        assert secret.name in recording.before(source)
        others = [r for r in recording.resources if r.type != SECRET]
        assert "hunter2" not in str(others)

    def test_no_secret_without_a_pull_token(self) -> None:
        assert not record_flux().all(SECRET)

    def test_a_pull_token_that_only_an_up_will_know(self) -> None:
        recording = record_flux(token=UNKNOWN, preview=True)
        assert UNKNOWN in str(recording.one(SECRET).inputs["stringData"])
        assert names(applied_objects(recording))[-2:] == SYNC
