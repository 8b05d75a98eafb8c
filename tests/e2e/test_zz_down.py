"""The last file by name: one command stops everything that `up` started."""

from __future__ import annotations

import socket

from fleet.process import run
from tests.e2e.sandbox import Sandbox


def test_down_leaves_nothing(sandbox: Sandbox) -> None:
    """No process, no open port and no state folder is left."""
    ports = list(sandbox.processes.ports().values())
    pids = [sandbox.processes.pid(name) for name in sandbox.processes.running()]
    assert len(pids) > 20
    assert sandbox.stop()
    assert not sandbox.state.exists()
    for pid in pids:
        # A zombie is a child of this Python process that has ended.
        status = run(["ps", "-o", "stat=", "-p", str(pid)], timeout=30, accept=(0, 1))
        assert status[:1] in ("", "Z")
    for port in ports:
        with socket.socket() as trial:
            assert trial.connect_ex(("127.0.0.1", port)) != 0
