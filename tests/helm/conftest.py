"""Fixtures of the tests of rendering: the real helm and kustomize, and an empty cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet import cache
from tests.helm.support import Repository


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Repository:
    """A repository without files. The programs stay at hand, in spite of its empty cache."""
    monkeypatch.setenv("PATH", f"{cache.programs()}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "repository"
    root.mkdir()
    return Repository(root)
