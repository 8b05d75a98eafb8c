"""Test the rule about durations of Flux objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.support import APPS, check, flux_kustomization
from tests.support import definition, helm_release

# These tests run programs or servers.
pytestmark = pytest.mark.slow

TOO_LONG = ["2562048h", "9999999h", "153722880m", "9223372037s", f"{'9' * 5000}h", "2562047h60m"]


@pytest.mark.parametrize("duration", TOO_LONG)
def test_a_duration_that_flux_cannot_read(duration: str, checkout: Path) -> None:
    """The schema of Flux takes it, and kustomize-controller then lists no Kustomization."""
    files = definition("apps/a", flux_kustomization("a", f"  timeout: {duration}\n"))
    assert check(checkout, files, apps="a") == [
        f"{APPS}: Kustomization flux-system/a: duration {duration[:20]} is longer than Go can "
        "hold; shorten it"
    ]


def test_a_nested_duration(checkout: Path) -> None:
    release = helm_release("chart", "common", "  rollback: {timeout: 9999999h}\n")
    (found,) = check(checkout, definition("apps/a", release), apps="a")
    assert found.startswith(f"{APPS}: HelmRelease common/chart: duration 9999999h is longer")


@pytest.mark.parametrize("duration", ["2562047h", "1h30m", "0.5s", "0000000000000000000005m"])
def test_durations_that_are_fine(duration: str, checkout: Path) -> None:
    files = definition("apps/a", flux_kustomization("a", f"  timeout: {duration}\n"))
    assert check(checkout, files, apps="a") == []


def test_values_of_a_chart_are_no_durations_of_flux(checkout: Path) -> None:
    release = helm_release("chart", "common", "  values: {keep: 9999999h}\n")
    assert check(checkout, definition("apps/a", release), apps="a") == []
