"""The sandbox of a file of end-to-end tests: started for its first test, stopped after its last."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterator

import pytest

from fleet.config import load
from fleet.errors import FleetError
from fleet.process import run
from sandbox.host.checkout import CHECKOUT
from sandbox.kubernetes.flux_controllers import CONTROLLERS
from tests.e2e.sandbox import NAMES, Sandbox
from tests.e2e.support import eventually

# GitHub, the internet and etcd; and of a cluster the control plane, kwok and Flux's controllers.
SHARED_PROCESSES, CLUSTER_PROCESSES = 3, 4 + len(CONTROLLERS)


@pytest.fixture(scope="module")
def sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """Start a sandbox with the CLUSTERS that the file names, and with a spoke if SPOKE is true.

    A cluster without the entries of infrastructure that LEFT_OUT matches takes less CPU time. No
    file has to wait for another one, so files can run alone, in any order and at the same time.
    """
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    state, module = tmp_path_factory.mktemp("e2e") / "sandbox", request.module
    sandbox = Sandbox(state, module.CLUSTERS, getattr(module, "LEFT_OUT", None))
    try:
        assert [stack.name for stack in load.stacks(CHECKOUT)] == NAMES
        assert sandbox.start(say, spoke=getattr(module, "SPOKE", False))
        yield sandbox
        _expect_down(sandbox)
    finally:
        sandbox.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what Flux says, because the sandbox is removed later."""
    report = yield
    sandbox = getattr(item, "funcargs", {}).get("sandbox")
    if report.when == "call" and report.failed and isinstance(sandbox, Sandbox):
        report.sections.append(("What Flux says", "\n".join(_state_of_flux(sandbox))))
    return report


def _state_of_flux(sandbox: Sandbox) -> Iterator[str]:
    """Name what is not Ready and what has ended, and give the end of each controller's log."""
    for name in sandbox.names:
        try:
            yield from sandbox.report.not_ready(name)
            for namespace in sandbox.clusters.cluster(name).objects("/api/v1/namespaces"):
                if "deletionTimestamp" in namespace["metadata"]:
                    yield f"{name}: {namespace['metadata']['name']} ends: {namespace['status']}"
        except FleetError as error:
            yield f"{name}: {error}"
        for controller in CONTROLLERS:
            process = sandbox.clusters.cluster(name).process(controller)
            state = "runs" if sandbox.processes.is_running(process) else "does not run"
            yield f"{process}: {state}; its log ends: {sandbox.processes.log_tail(process)}"


def _expect_down(sandbox: Sandbox) -> None:
    """Assert that no process, no open port and no state folder is left."""
    running = sandbox.processes.running()
    pids = [sandbox.processes.pid(name) for name in running]
    assert len(pids) == SHARED_PROCESSES + CLUSTER_PROCESSES * len(sandbox.names)
    assert set(sandbox.processes.stop_all()) == set(running)
    for pid in pids:
        # A zombie is a child of this Python process that has ended.
        status = run(["ps", "-o", "stat=", "-p", str(pid)], timeout=30, accept=(0, 1))
        assert status[:1] in ("", "Z")
    # Until the state folder is removed, no other sandbox takes these ports.
    for port in sandbox.processes.ports().values():
        with socket.socket() as trial:
            assert trial.connect_ex(("127.0.0.1", port)) != 0
    # A plugin of the engine is no process that the sandbox knows by name; it has a moment to end.
    eventually(lambda: str(sandbox.state) not in run(["ps", "-A", "-o", "args"], timeout=30))
    assert sandbox.stop() == []
    assert not sandbox.state.exists()
