"""The request to Flux to pull."""

from __future__ import annotations

import json

import pulumi

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.reconciliation import reconcile_source
from tests.components.helpers import (
    KUBERNETES,
    PULL,
)
from tests.components.recording import UNKNOWN, Recording, run, unknown


class TestReconcileSource:
    def record(self, token: str = "abc", *, preview: bool = False) -> Recording:  # noqa: S107
        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            reconcile_source(
                "billing-dev",
                "billing-repo",
                token=unknown() if token == UNKNOWN else token,
                opts=pulumi.ResourceOptions(
                    provider=connection.provider,
                    depends_on=[pulumi.CustomResource("test:index:File", "committed")],
                ),
            )

        return run(program, preview=preview)

    def test_a_patch_of_an_object_in_git(self) -> None:
        recording = self.record()
        pull = recording.one(PULL)
        assert pull.name == "GitRepositoryPatch/billing-dev/billing-repo"
        assert pull.inputs["apiVersion"] == "source.toolkit.fluxcd.io/v1"
        assert pull.inputs["kind"] == "GitRepository"
        assert set(pull.inputs) == {"apiVersion", "kind", "metadata"}
        assert pull.provider == recording.one(KUBERNETES).urn
        assert recording.before(pull) == {"committed"}
        assert pull.retain_on_delete
        # Ignored changes would keep a new token from Flux.
        assert not pull.ignore_changes

    def test_it_is_awaited_for_two_minutes(self) -> None:
        pull = self.record().one(PULL)
        metadata = pull.inputs["metadata"]
        assert (metadata["namespace"], metadata["name"]) == ("billing-dev", "billing-repo")
        assert metadata["annotations"]["reconcile.fluxcd.io/requestedAt"] == "abc"
        assert json.loads(metadata["annotations"]["pulumi.com/waitFor"]) == [
            "jsonpath={.status.lastHandledReconcileAt}=abc",
            "condition=Ready",
        ]
        assert set(metadata) == {"namespace", "name", "annotations"}
        assert set(metadata["annotations"]) == {
            "reconcile.fluxcd.io/requestedAt",
            "pulumi.com/patchForce",
            "pulumi.com/waitFor",
        }
        # Somebody may have run `flux reconcile`, which sets the first one.
        assert metadata["annotations"]["pulumi.com/patchForce"] == "true"
        assert pull.timeouts == {"create": "2m", "update": "2m"}

    def test_the_same_token_asks_for_nothing(self) -> None:
        assert self.record("abc").one(PULL) == self.record("abc").one(PULL)
        assert self.record("abc").one(PULL) != self.record("abd").one(PULL)

    def test_a_token_that_only_an_up_will_know(self) -> None:
        metadata = self.record(UNKNOWN, preview=True).one(PULL).inputs["metadata"]
        assert metadata["name"] == "billing-repo"
        annotations = dict(metadata["annotations"])
        assert annotations.pop("pulumi.com/patchForce") == "true"
        assert set(annotations.values()) == {UNKNOWN}
