"""One sandbox for all end-to-end tests: brought up once, taken down at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fleet.config import load
from sandbox import __main__ as sandbox_main
from sandbox.host import processes
from sandbox.host.files import CHECKOUT
from tests.e2e.sandbox import NAMES, Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Bring the sandbox up from nothing, as `make sandbox` does, in a folder of its own."""
    state = tmp_path_factory.mktemp("e2e") / "sandbox"
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    try:
        assert [stack.name for stack in load.stacks(CHECKOUT)] == NAMES
        assert sandbox_main.up(state, say) == 0
        yield Sandbox(state=state)
    finally:
        processes.stop_all(state)
