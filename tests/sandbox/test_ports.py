"""Ports of sandboxes that start at the same time."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleet import cache
from sandbox.host import ports
from sandbox.host.processes import Processes

COUNT = 20


@pytest.fixture
def few(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only so many ports that two sandboxes with random ports would share some."""
    free = (port for port in range(19_000, 20_000) if ports.is_free(port))
    monkeypatch.setattr(ports, "_RANGE", [next(free) for _ in range(2 * COUNT)])


def chosen(state: Path) -> set[int]:
    processes = Processes(state)
    return {processes.port(f"a/{number}") for number in range(COUNT)}


def test_sandboxes_that_start_together_share_no_port(few: None, tmp_path: Path) -> None:
    """No program has bound its port yet, so trying to bind it would not tell."""
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(chosen, (tmp_path / "one", tmp_path / "other"))
    assert len(one) == len(other) == COUNT
    assert not one & other


def test_the_ports_of_a_removed_sandbox_are_free_again(few: None, tmp_path: Path) -> None:
    one, other = chosen(tmp_path / "one"), chosen(tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    assert chosen(tmp_path / "another") == other
    assert chosen(tmp_path / "one") == one
    known = json.loads((cache.directory() / "sandboxes.json").read_text())
    assert known == [str(tmp_path / "another"), str(tmp_path / "one")]
