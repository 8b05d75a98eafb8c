"""Tests of the cache keys of what the sandbox builds from modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.build import public_sources, tools


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
