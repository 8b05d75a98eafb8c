"""The objects with which Flux pulls."""

from __future__ import annotations

from tests.components.flux_recording import record_flux
from tests.components.helpers import (
    FLUX_SYNC,
    KUBERNETES,
    PULL,
)
from tests.components.recording import UNKNOWN


class TestFluxSync:
    def test_flux_is_told_to_pull_what_was_committed(self) -> None:
        recording = record_flux()
        pull = recording.one(PULL)
        assert pull.inputs["metadata"]["namespace"] == "flux-system"
        annotations = pull.inputs["metadata"]["annotations"]
        assert annotations["reconcile.fluxcd.io/requestedAt"] == "abc"
        assert pull.provider == recording.one(KUBERNETES).urn
        assert recording.by_urn(pull.parent).type == FLUX_SYNC
        # Every other resource waits for its removal, or is none that `pulumi destroy` may lose.
        assert pull.protect

    def test_a_flux_that_is_taken_over_applies_nothing_until_it_has_pulled_the_tree(self) -> None:
        recording = record_flux(takes_over=True)
        roots = [r for r in recording.resources if r.type.endswith(":Kustomization")]
        (suspended, root) = roots
        (source,) = (r for r in recording.resources if r.type.endswith(":GitRepository"))
        pull = recording.one(PULL)
        assert suspended.inputs["spec"] == {"path": "./clusters/dev", "suspend": True}
        assert suspended.name in recording.before(source)
        assert pull.name in recording.before(root)
        assert root.inputs["spec"] == {"path": "./clusters/dev", "suspend": False}

    def test_a_pull_of_what_only_an_up_will_commit(self) -> None:
        annotations = record_flux(preview=True).one(PULL).inputs["metadata"]["annotations"]
        assert set(annotations.values()) == {UNKNOWN, "true"}
