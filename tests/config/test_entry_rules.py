"""Tests of fleet/config/entry_rules.py, beside tests/fixtures/invalid/entry-*.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import entry_rules, load
from tests.support import stack_file, write


def test_an_overlay_of_another_environment_with_a_reason(checkout: Path) -> None:
    text = stack_file("dev").replace(
        "podinfo/overlays/dev", "{path: podinfo/overlays/prod, because: prod's load test}"
    )
    write(checkout, {"Pulumi.dev.yaml": text})
    (entry,) = load.stack(checkout, "dev").config.apps
    assert (entry.path, entry.because) == ("podinfo/overlays/prod", "prod's load test")


@pytest.mark.parametrize(
    ("path", "environment", "other"),
    [
        ("podinfo/overlays/prod", "dev", "prod"),
        ("podinfo/overlays/dev", "dev", None),
        ("podinfo/overlays/prod/eu", "dev", "prod"),
        ("namespaces/test-only", "dev", "test"),
        ("namespaces/test-only", "test", None),
        ("policies/kyverno/test-only", "prod", "test"),
        ("namespaces/team-x", "dev", None),
        ("common", "prod", None),
        ("overlays", "prod", None),
    ],
)
def test_other_environment(path: str, environment: str, other: str | None) -> None:
    assert entry_rules.other_environment(path, environment) == other
