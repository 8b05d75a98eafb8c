"""Test the run of all checks, with the real kustomize, kubeconform and schemas."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fleet.check.run import check_stacks
from fleet.config import load
from tests.check.support import check
from tests.support import REPOSITORY, kustomization, manifest, namespace, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow


def test_nothing_is_wrong_with_the_shipped_stacks() -> None:
    stacks = load.stacks(REPOSITORY)
    report = check_stacks(REPOSITORY, [(s, None) for s in stacks], lambda _: None)
    assert report.findings == []
    assert report.without_schema == Counter()
    assert report.clusters == 3
    # A lower number would mean that some objects were not checked.
    assert report.objects > 70


def test_nothing_is_wrong_with_the_small_checkout(checkout: Path) -> None:
    assert check(checkout, {}) == []


def test_every_cluster_is_checked(checkout: Path) -> None:
    write(checkout, {"apps/podinfo/overlays/prod/kustomization.yaml": kustomization("nothing")})
    said: list[str] = []
    stacks = [(stack, None) for stack in load.stacks(checkout)]
    report = check_stacks(checkout, stacks, said.append)
    (finding,) = report.findings
    assert finding.file == "apps/podinfo/overlays/prod/kustomization.yaml"
    assert said[:2] == ["building clusters/dev", "building clusters/prod"]


def test_components_are_checked_too(checkout: Path) -> None:
    """Flux's own manifests are part of the entrypoint, as in Git."""
    stack = load.stack(checkout, "dev")
    text = namespace("flux-system") + "---\n" + manifest("v1", "ConfigMap", "a", "flux-system")
    broken = text + "---\n" + manifest("v1", "ConfigMap", "b", "flux-system", "dat: {}\n")
    good, bad = (
        check_stacks(checkout, [(stack, components)], lambda _: None)
        for components in (text, broken)
    )
    assert good.findings == []
    (finding,) = bad.findings
    assert (finding.file, finding.object) == ("clusters/dev", "ConfigMap flux-system/b")
    assert bad.objects == good.objects + 1
