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
    run(["pkill", "-KILL", "-s", str(process.pid)], timeout=30)
    process.wait(timeout=30)
