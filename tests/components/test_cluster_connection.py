"""The connection to a cluster."""

from __future__ import annotations

import pytest

from components.cluster_connection import (
    DESTROY_HOOK,
    ClusterConnection,
    ClusterConnectionArgs,
)
from tests.components.helpers import (
    CONNECTION,
    KUBERNETES,
    STACK,
)
from tests.components.recording import UNKNOWN, Recording, run, unknown


class TestClusterConnection:
    @staticmethod
    def record(kubeconfig: str = "/home/me/.kube/config", preview: bool = False) -> Recording:
        def program() -> None:
            given = unknown() if kubeconfig == UNKNOWN else kubeconfig
            args = ClusterConnectionArgs(cluster="dev", kubeconfig=given, context="k3d-dev")
            ClusterConnection("dev", args)

        return run(program, preview=preview)

    def test_one_provider_for_exactly_one_cluster(self) -> None:
        recording = self.record()
        assert [(r.type, r.name) for r in recording.resources] == [
            (STACK, "fleet-dev"),
            (CONNECTION, "dev"),
            (KUBERNETES, "dev"),
        ]
        provider = recording.one(KUBERNETES)
        assert dict(provider.inputs) == {
            "kubeconfig": "/home/me/.kube/config",
            "context": "k3d-dev",
            "clusterIdentifier": "dev",
            "deleteUnreachable": "false",
            "skipUpdateUnreachable": "true",
            "upsertExistingObjects": "true",
            "enablePatchForce": "true",
            "enableSecretMutable": "true",
        }
        assert recording.by_urn(provider.parent).type == CONNECTION
        assert recording.by_urn(recording.one(CONNECTION).parent).type == STACK

    def test_a_kubeconfig_that_only_an_up_will_know(self) -> None:
        """A preview still knows the context and the identity."""
        inputs = self.record(UNKNOWN, preview=True).one(KUBERNETES).inputs
        assert inputs["kubeconfig"] == UNKNOWN
        assert (inputs["context"], inputs["clusterIdentifier"]) == ("k3d-dev", "dev")

    def test_the_engine_destroys_nothing_without_the_program(self) -> None:
        """The engine refuses `pulumi destroy` without --run-program when a resource has a hook."""
        assert self.record().one(KUBERNETES).before_delete == (DESTROY_HOOK,)

    def test_nothing_ambient_gets_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", "/somewhere/else")
        assert self.record().one(KUBERNETES).inputs["kubeconfig"] == "/home/me/.kube/config"
