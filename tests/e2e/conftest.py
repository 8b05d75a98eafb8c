"""The sandbox of the end-to-end tests: started once, and stopped at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fleet.config import load
from sandbox.host.files import CHECKOUT
from tests.e2e.sandbox import NAMES, Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Start a new sandbox as `make sandbox` does, in a folder of its own."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    sandbox = Sandbox(tmp_path_factory.mktemp("e2e") / "sandbox")
    try:
        assert [stack.name for stack in load.stacks(CHECKOUT)] == NAMES
        assert sandbox.start(say)
        yield sandbox
    finally:
        sandbox.processes.stop_all()
