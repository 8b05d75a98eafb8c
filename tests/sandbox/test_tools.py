"""Tests of what the sandbox builds once: the cache keys, and what `fleet check` needs of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check import schemas
from sandbox.build import flux_manifests, parts, public_sources, tools


def test_a_change_of_the_code_that_makes_a_result_changes_its_path(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts, manifests = tools.charts(), tools.manifests()
    assert charts == tools.charts() and charts.is_relative_to(empty_cache)
    changed = tmp_path / "public_sources.py"
    changed.write_text("# changed\n")
    monkeypatch.setattr(public_sources, "__file__", str(changed))
    assert tools.charts() != charts
    assert tools.manifests() == manifests


def test_only_what_fleet_check_needs_is_built(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither a program that the sandbox alone runs, nor a chart, nor a repository."""
    built: list[str] = []
    monkeypatch.setattr(parts, "build", lambda names, _: built.extend(names))
    monkeypatch.setattr(flux_manifests, "build", Path.touch)
    tools.build_for_check(lambda _: None)
    assert built == ["kustomize", "kubeconform"]
    made = {path.name for path in empty_cache.iterdir()}
    assert made == {"made", "flux", "json-schemas"}
    assert [path.name for path in empty_cache.glob("made/*/*")] == ["install.yaml"]
    assert schemas.folder().is_dir()
