"""Test the rule about overlays that stand for absence, with the real kustomize."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.support import check
from tests.support import config_map, definition, kustomization, manifest

# These tests run programs or servers.
pytestmark = pytest.mark.slow

OVERLAY = "apps/a/overlays/dev"
REMEDY = "remove the entry from Pulumi.dev.yaml, and then the overlay"
WORKLOAD = manifest(
    "apps/v1",
    "Deployment",
    "a",
    "common",
    "spec:\n  selector: {matchLabels: {app: a}}\n"
    "  template:\n    metadata: {labels: {app: a}}\n"
    "    spec: {containers: [{name: a, image: 'a:1'}]}\n",
)


def overlay(fields: str, base: str = WORKLOAD) -> dict[str, str]:
    """Return an app whose overlay has more fields."""
    return {
        **definition("apps/a/base", base),
        f"{OVERLAY}/kustomization.yaml": kustomization("../../base") + fields,
    }


def deletion(kind: str) -> str:
    patch = f"{{$patch: delete, apiVersion: any, kind: {kind}, metadata: {{name: a}}}}"
    return f"patches: [{{target: {{kind: {kind}}}, patch: '{patch}'}}]\n"


def test_an_overlay_that_deletes_everything(checkout: Path) -> None:
    files = overlay(deletion("Deployment"))
    assert check(checkout, files, apps="a/overlays/dev") == [
        f"{OVERLAY}: deletes all that its base brings; {REMEDY}"
    ]


def test_an_overlay_that_switches_everything_off(checkout: Path) -> None:
    files = overlay("replicas: [{name: a, count: 0}]\n")
    assert check(checkout, files, apps="a/overlays/dev") == [
        f"{OVERLAY}: switches off all that its base runs; {REMEDY}"
    ]


@pytest.mark.parametrize(
    ("fields", "base"),
    [
        ("replicas: [{name: a, count: 2}]\n", WORKLOAD),
        # A part that is deleted is a difference.
        (deletion("ConfigMap"), f"{WORKLOAD}---\n{config_map('a', 'common')}"),
        ("", config_map("a", "common")),
        # The base itself runs nothing.
        ("", WORKLOAD.replace("spec:\n", "spec:\n  replicas: 0\n", 1)),
    ],
)
def test_an_overlay_for_a_difference(fields: str, base: str, checkout: Path) -> None:
    assert check(checkout, overlay(fields, base), apps="a/overlays/dev") == []
