"""One stack recovers: from a killed `up`, a wrong file, a destroyed stack and killed processes."""

from __future__ import annotations

import os
import signal

import pytest

from fleet.kube import namespaces
from fleet.render import flux
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox
from tests.e2e.support import eventually, kill_tree

CLUSTERS = ["dev"]


def test_an_interrupted_up_is_completed_by_the_next(sandbox: Sandbox) -> None:
    """An `up` is killed in the middle of a change; the next one completes the change."""
    entries = sandbox.entries("dev", "apps")
    sandbox.configure("dev", apps=list(reversed(entries)))
    head = sandbox.head()
    running = sandbox.stacks.start_up("dev")
    # From here on the commit is pushed, but Pulumi's state is not written yet.
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up("dev")
    assert sandbox.commits(head)[0].startswith("dev: apps/kustomization.yaml")
    sandbox.configure("dev", apps=entries)
    sandbox.up("dev")
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_an_invalid_stack_file_stops_up_before_anything_is_written(sandbox: Sandbox) -> None:
    entries, head = sandbox.entries("dev", "apps"), sandbox.head()
    sandbox.configure("dev", apps=["common", "podinfo/overlays/prod"])
    try:
        running = sandbox.stacks.start_up("dev")
        assert running.process.wait(timeout=120) != 0
        log = running.log.read_text()
        assert "Pulumi.dev.yaml: fleet:apps[1]: 'podinfo/overlays/prod' is for prod" in log
        assert "Traceback" not in log
        assert sandbox.head() == head
    finally:
        sandbox.configure("dev", apps=entries)


def test_destroying_a_stack_loses_no_workload(sandbox: Sandbox) -> None:
    """Pulumi refuses to destroy protected resources; when they are not, Flux prunes nothing."""
    before = sandbox.workloads("dev")
    head = sandbox.head()
    refused = sandbox.stacks.run_pulumi("destroy", "--yes", "--stack", "dev", accept=(1,))
    assert "pulumi state unprotect" in refused
    assert sandbox.head() == head

    sandbox.stacks.run_pulumi("state", "unprotect", "--all", "--yes", "--stack", "dev")
    sandbox.stacks.run_pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")
    sandbox.commits()
    left = sandbox.root / "clusters" / "dev"
    assert [file.name for file in left.rglob("*") if file.is_file()] == ["kustomization.yaml"]
    # `destroy` does not ask Flux to pull, so the test does.
    sandbox.reconcile("dev", "gitrepository", namespaces.FLUX_NAMESPACE, flux.SYNC_NAME)
    eventually(lambda: "build failed" in _root_messages(sandbox, "dev"))
    assert sandbox.workloads("dev") == before

    sandbox.up("dev")
    assert set(sandbox.workloads("dev")) == set(before)


@pytest.mark.parametrize(
    "victim", ["github", "internet", "etcd", "dev-kube-apiserver", "dev-source-controller"]
)
def test_a_killed_process_is_recovered(sandbox: Sandbox, victim: str) -> None:
    os.kill(sandbox.processes.pid(victim), signal.SIGKILL)
    eventually(lambda: not sandbox.processes.is_running(victim))
    assert sandbox.start(lambda _: None)
    assert sandbox.processes.is_running(victim)


def _root_messages(sandbox: Sandbox, cluster: str) -> str:
    """Return the messages of the root Kustomization."""
    return " ".join(
        condition["message"]
        for item in sandbox.objects(cluster, KUSTOMIZATIONS)
        if item["metadata"]["name"] == "flux-system"
        for condition in item["status"]["conditions"]
    )
