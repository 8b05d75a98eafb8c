"""Waiting, watching and killing."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fleet.process import run


def eventually(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@contextmanager
def watching(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` again and again while the block runs."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(0.1):
            look()

    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(run)
        try:
            yield
        finally:
            end.set()
        looking.result()


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a session, and all processes of the session.

    The engine's plugins have process groups of their own, and some outlive a killed engine.
    """
    session = str(process.pid)
    run(["pkill", "-KILL", "-s", session], timeout=30)
    process.wait(timeout=30)
    end_session(session)


def end_session(session: str) -> None:
    """Kill what is left of a session, also what was just starting when the rest of it ended."""

    def is_empty() -> bool:
        run(["pkill", "-KILL", "-s", session], timeout=30, accept=(0, 1))
        # A zombie is dead, and the process above it has not asked for its end yet.
        left = ["pgrep", "--session", session, "--runstates", "D,R,S,T"]
        return not run(left, timeout=30, accept=(0, 1))

    eventually(is_empty)
