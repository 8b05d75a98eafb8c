"""Flux in a cluster, and the objects with which it pulls."""

from __future__ import annotations

import pytest
import yaml

from tests.components.flux_recording import FLUX_WAVES, planted, record_flux
from tests.components.helpers import (
    FLUX,
    FLUX_SYNC,
    KUBERNETES,
    MANIFESTS,
    PLANTED,
    PULL,
    PULLED,
    SECRET,
    SYNC,
    names,
    planted_as,
)
from tests.components.recording import UNKNOWN


class TestFluxInstallation:
    def test_the_documents_as_they_are(self) -> None:
        recording = record_flux()
        types = {resource.name: resource.type for resource in planted(recording)}
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
        assert dict(deployment.inputs) == planted_as(documents[0])

    def test_on_the_given_cluster_and_left_to_git(self) -> None:
        """Never through a default provider; later changes and removal are not Pulumi's."""
        recording = record_flux(token="hunter2")  # noqa: S106 - a test's
        for resource in [*planted(recording), recording.one(SECRET)]:
            assert resource.provider == recording.one(KUBERNETES).urn
            owner = FLUX_SYNC if resource.name in SYNC else FLUX
            assert recording.by_urn(resource.parent).type == owner
        for resource in planted(recording):
            assert resource.ignore_changes == ("*",)
            assert resource.retain_on_delete
        assert recording.one(SECRET).retain_on_delete

    @pytest.mark.parametrize("preview", [False, True])
    def test_in_an_order_that_kubernetes_can_take(self, preview: bool) -> None:
        recording = record_flux(preview=preview)
        by_name = {resource.name: resource for resource in planted(recording)}
        earlier: set[str] = set()
        for wave in PLANTED:
            for name in wave:
                assert recording.before(by_name[name]) == earlier
            earlier |= wave
        # What is pulled has to be there before Flux is told to pull it.
        earlier |= {"committed"}
        by_name[PULLED] = recording.one(PULL)
        # What keeps Flux from pulling is said by the source, not by what waits for it.
        for name in (SYNC[0], PULLED, SYNC[1]):
            assert recording.before(by_name[name]) == earlier
            earlier |= {name}

    def test_a_wave_without_documents_does_not_lose_the_order(self) -> None:
        recording = record_flux(waves=(FLUX_WAVES[0], (), FLUX_WAVES[2]))
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert recording.before(deployment) == PLANTED[0]

    def test_the_pull_token_is_a_secret(self) -> None:
        """There before Flux pulls, and nowhere but in that one value."""
        recording = record_flux(token="hunter2")  # noqa: S106 - a test's
        secret = recording.one(SECRET)
        assert secret.name == "Secret/flux-system/flux-system"
        assert secret.inputs["metadata"] == {"name": "flux-system", "namespace": "flux-system"}
        assert secret.inputs["stringData"] == {"username": "git", "password": "hunter2"}
        assert "stringData" in secret.secrets or "stringData.password" in secret.secrets
        assert recording.before(secret) == set().union(*PLANTED)
        source = recording.one("kubernetes:source.toolkit.fluxcd.io/v1:GitRepository")
        assert secret.name in recording.before(source)
        others = [r for r in recording.resources if r.type != SECRET]
        assert "hunter2" not in str(others)

    def test_no_secret_without_a_pull_token(self) -> None:
        assert not record_flux().all(SECRET)

    def test_a_pull_token_that_only_an_up_will_know(self) -> None:
        recording = record_flux(token=UNKNOWN, preview=True)
        assert UNKNOWN in str(recording.one(SECRET).inputs["stringData"])
        assert names(planted(recording))[-2:] == SYNC
