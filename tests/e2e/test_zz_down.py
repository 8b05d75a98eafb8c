"""The end, of the last file by name: what one command brought up, one command takes down."""

from __future__ import annotations

import socket

from fleet.process import run
from sandbox import __main__ as sandbox_main
from sandbox.host import processes
from tests.e2e.sandbox import Sandbox


def test_down_leaves_nothing(sandbox: Sandbox) -> None:
    """No process of ours, no port taken, no folder."""
    ports = sandbox.ports()
    pids = [sandbox.pid(name) for name in processes.running(sandbox.state)]
    assert len(pids) > 20
    assert sandbox_main.down(sandbox.state, lambda _: None) == 0
    assert not sandbox.state.exists()
    for pid in pids:
        # A zombie is an ended child of this very process.
        said = run(["ps", "-o", "stat=", "-p", str(pid)], timeout=30, accept=(0, 1))
        assert said[:1] in ("", "Z")
    for port in ports:
        with socket.socket() as trial:
            assert trial.connect_ex(("127.0.0.1", port)) != 0
