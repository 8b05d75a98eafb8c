"""One stack recovers: from a killed `up`, a wrong file, a destroyed stack and killed processes."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from components.cluster_connection import DESTROY_HOOK
from fleet.kube import namespaces
from fleet.render import flux
from sandbox.build.parts import program
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox
from tests.e2e.support import eventually, kill_tree

CLUSTERS = ["dev"]
# The codes with which the engine ends when it or the program has failed.
FAILED = (1, 255)


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
    """Pulumi refuses to destroy without the program, and protected resources; Flux prunes nothing.

    A destroy that was killed is completed by the next one.
    """
    before = sandbox.workloads("dev")
    head = sandbox.head()
    destroy = ("destroy", "--yes", "--stack", "dev")
    for options, reason in (((), DESTROY_HOOK), (("--run-program",), "it is protected")):
        assert reason in sandbox.stacks.run_pulumi(*destroy, *options, accept=FAILED)
        assert sandbox.head() == head

    removal = (*destroy, "--skip-preview", "--run-program", "--ignore-protect")
    running = subprocess.Popen(
        [program("pulumi"), *removal, "--non-interactive"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=sandbox.root,
        env=sandbox.stacks.environment(),
        start_new_session=True,
    )
    eventually(lambda: sandbox.head() != head)
    kill_tree(running)
    sandbox.stacks.run_pulumi("cancel", "--yes", "--stack", "dev")
    sandbox.stacks.run_pulumi(*removal)
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
