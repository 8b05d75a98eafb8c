"""Tests of what the sandbox builds once: the cache keys, and what `fleet check` needs of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet.check import schemas
from sandbox.build import flux_manifests, parts, public_sources, tools

pytestmark = pytest.mark.slow


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
    assert built == ["kustomize", "kubeconform", "helm"]
    made = {path.name for path in empty_cache.iterdir() if path.is_dir()}
    assert made == {"made", "flux", "json-schemas"}
    assert [path.name for path in empty_cache.glob("made/*/*")] == ["install.yaml"]
    assert schemas.folder().is_dir()


def test_of_two_builds_at_once_one_waits(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each build begins after the other one has ended, and the one that waits says so."""
    events: list[str] = []
    waits = threading.Event()

    def build(*_: object) -> None:
        events.append("begin")
        # The first build goes on when the second one waits for it.
        assert waits.wait(timeout=10)
        events.append("end")

    def say(text: str) -> None:
        events.append(text)
        waits.set()

    for name in ("_build_for_check", "_make"):
        monkeypatch.setattr(tools, name, lambda *_: None)
    monkeypatch.setattr(parts, "build", build)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(tools.build, say) for _ in range(2)]:
            done.result()
    waiting = events.index("waiting for another run that builds")
    assert waiting < events.index("end")
    del events[waiting]
    assert events == ["begin", "end", "begin", "end"]
