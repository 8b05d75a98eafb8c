"""Three stacks bring three clusters to their desired state, and keep them there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from fleet.cli import main
from fleet.config import load
from fleet.kube import kustomize, namespaces
from fleet.process import run
from fleet.render import flux
from tests.e2e.sandbox import KUSTOMIZATIONS, NAMES, Sandbox
from tests.e2e.support import eventually, kill_tree


def test_the_expected_result(sandbox: Sandbox) -> None:
    """Each cluster has its objects; the test names them and computes nothing."""
    for cluster, has_foo, podinfo in (("dev", False, 1), ("test", True, 2), ("prod", False, 3)):
        namespaces = sandbox.namespaces(cluster)
        assert "team-x" in namespaces
        assert ("foo" in namespaces) is has_foo
        assert {"cert-manager", "kyverno", "monitoring"} <= namespaces
        assert sandbox.replicas(cluster, "team-x") == {"podinfo": podinfo}
        assert sandbox.replicas(cluster, "foo") == ({"foo-app": 1} if has_foo else {})
        assert sandbox.replicas(cluster, "monitoring") == {"kube-state-metrics": 1}
        assert sandbox.replicas(cluster, "kyverno")


def test_every_cluster_pulls_its_own_path(sandbox: Sandbox) -> None:
    for cluster in NAMES:
        paths = {
            item["metadata"]["name"]: item["spec"]["path"]
            for item in sandbox.clusters.cluster(cluster).objects([KUSTOMIZATIONS])
        }
        assert paths["flux-system"] == f"./clusters/{cluster}"
        assert {paths[stage] for stage in ("infra", "policies", "apps")} == {
            f"./clusters/{cluster}/{stage}" for stage in ("infra", "policies", "apps")
        }


def test_a_second_up_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.head()
    outcomes = sandbox.up(*NAMES)
    assert all(outcome.unchanged for outcome in outcomes)
    assert sandbox.head() == before


def test_make_sandbox_again_changes_nothing(sandbox: Sandbox) -> None:
    before, ports = sandbox.head(), sandbox.processes.ports()
    pids = {file.name: file.read_text() for file in (sandbox.state / "processes").iterdir()}
    assert sandbox.start(lambda _: None)
    assert sandbox.head() == before
    assert sandbox.processes.ports() == ports
    assert pids == {file.name: file.read_text() for file in (sandbox.state / "processes").iterdir()}


def test_foo_app_is_promoted_to_dev_only_and_removed_again(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """An app of test goes to dev and is removed again; the other clusters do not change."""
    before = {cluster: sandbox.workloads(cluster) for cluster in NAMES}
    infrastructure = sandbox.entries("dev", "infrastructure")
    apps = sandbox.entries("dev", "apps")

    # Without its namespace, the check refuses the app before anything is committed.
    sandbox.configure("dev", apps=[*apps, "foo-app/base"])
    assert main.main(["check", "--root", str(sandbox.root)]) == 1
    output = capsys.readouterr().out
    assert "clusters/dev/apps: Deployment foo/foo-app: namespace foo" in output
    assert "infrastructure/namespaces/test-only has it" in output

    # The namespace comes first. It changes one list, so it is one commit.
    namespace = {"path": "namespaces/test-only", "because": "foo-app is promoted to dev"}
    sandbox.configure("dev", apps=apps, infrastructure=[*infrastructure, namespace])
    head = sandbox.head()
    sandbox.stacks.up(["dev"])
    assert len(sandbox.commits(head)) == 1
    # `up` ends when Flux has pulled the commit; it does not wait for Flux's interval.
    source = sandbox.get("dev", "gitrepository", namespaces.FLUX_NAMESPACE, flux.SYNC_NAME)
    assert source is not None
    assert source["status"]["artifact"]["revision"].endswith(f":{sandbox.head()}")
    sandbox.converge()

    sandbox.configure("dev", apps=[*apps, "foo-app/base"])
    assert main.main(["check", "--root", str(sandbox.root)]) == 0
    head = sandbox.head()
    sandbox.up("dev")
    assert sandbox.commits(head) == [
        "dev: apps/kustomization.yaml (common, podinfo/overlays/dev, foo-app/base)"
    ]
    assert sandbox.replicas("dev", "foo") == {"foo-app": 1}
    assert "foo" not in sandbox.namespaces("prod")
    for other in ("prod", "test"):
        assert sandbox.workloads(other) == before[other]

    sandbox.configure("dev", apps=apps, infrastructure=infrastructure)
    sandbox.up("dev")
    eventually(lambda: "foo" not in sandbox.namespaces("dev"))
    assert "foo" in sandbox.namespaces("test")
    for other in ("prod", "test"):
        assert sandbox.workloads(other) == before[other]
    assert set(sandbox.workloads("dev")) == set(before["dev"])


def test_three_ups_at_once_all_succeed(sandbox: Sandbox) -> None:
    """Each changes a list of its own cluster while the others push to the same branch."""
    lists = {name: sandbox.entries(name, "apps") for name in NAMES}
    head = sandbox.head()
    for name, entries in lists.items():
        sandbox.configure(name, apps=list(reversed(entries)))
    sandbox.up(*NAMES)
    assert sorted(subject.split(":")[0] for subject in sandbox.commits(head)) == NAMES
    for name, entries in lists.items():
        sandbox.configure(name, apps=entries)
    sandbox.up(*NAMES)
    assert len(sandbox.commits(head)) == 6


def test_every_commit_builds(sandbox: Sandbox, tmp_path: Path) -> None:
    """Flux may apply any commit, so every cluster with an entrypoint builds in each of them."""
    sandbox.commits()
    clone = tmp_path / "clone"
    sandbox.platform_repository.git("clone", "--quiet", str(sandbox.root), str(clone)
    )  # fmt: skip
    revisions = run(["git", "rev-list", "--reverse", "HEAD"], timeout=30, cwd=clone).split()
    built = 0
    for revision in revisions:
        run(["git", "checkout", "--quiet", revision], timeout=30, cwd=clone)
        for entrypoint in sorted(clone.glob("clusters/*/kustomization.yaml")):
            cluster = entrypoint.parent
            folders = [cluster, *(cluster / file.stem for file in cluster.glob("*.yaml"))]
            for folder in folders:
                if folder.name != "kustomization":
                    run([*kustomize.command(), str(folder)], timeout=60)
                    built += 1
    assert len(revisions) > 3 * 10
    assert built > len(revisions)


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
    "victim", ["github", "internet", "etcd", "test-kube-apiserver", "dev-source-controller"]
)
def test_a_killed_process_is_recovered(sandbox: Sandbox, victim: str) -> None:
    os.kill(sandbox.processes.pid(victim), signal.SIGKILL)
    eventually(lambda: not sandbox.processes.is_running(victim))
    assert sandbox.start(lambda _: None)
    assert sandbox.processes.is_running(victim)


def test_secrets_are_nowhere_in_plain_text(sandbox: Sandbox) -> None:
    """The state, logs, stack files, Git and command lines have no token."""
    tokens = [sandbox.github.token, sandbox.github.read_token]
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *(sandbox.state / "processes").rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        if place.is_file():
            content = place.read_bytes()
            assert not any(token.encode() in content for token in tokens), place
    history = sandbox.platform_repository.git("log", "--all", "--patch", "--format=%B")
    assert not any(token in history for token in tokens)
    commands = run(["ps", "-A", "-o", "args"], timeout=30)
    assert not any(token in commands for token in tokens)


def test_only_the_loopback_listens(sandbox: Sandbox) -> None:
    """No port of the sandbox accepts connections on the other addresses of this machine."""
    ports = list(sandbox.processes.ports().values())
    assert ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only chooses the local address.
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no address but the loopback")
    for port in ports:
        with socket.socket() as trial:
            trial.settimeout(2)
            assert trial.connect_ex((address, port)) != 0


def test_a_new_stack_file_is_a_new_cluster(sandbox: Sandbox, tmp_path: Path) -> None:
    """A new Pulumi.<name>.yaml passes the check, with no other change than its overlay."""
    root = tmp_path / "root"
    shutil.copytree(sandbox.root, root)
    text = (root / "Pulumi.dev.yaml").read_text()
    text = text.replace("context: k3d-dev", "context: eks-eu\n    environment: staging")
    text = text.replace("overlays/dev", "overlays/staging")
    (root / "Pulumi.staging-eu-west-1.yaml").write_text(text)
    overlays = root / "apps" / "podinfo" / "overlays"
    shutil.copytree(overlays / "test", overlays / "staging")
    assert main.main(["check", "--root", str(root)]) == 0
    names = [stack.name for stack in load.stacks(root)]
    assert names == ["dev", "prod", "staging-eu-west-1", "test"]


def _root_messages(sandbox: Sandbox, cluster: str) -> str:
    """Return the messages of the root Kustomization."""
    return " ".join(
        condition["message"]
        for item in sandbox.clusters.cluster(cluster).objects([KUSTOMIZATIONS])
        if item["metadata"]["name"] == "flux-system"
        for condition in item["status"]["conditions"]
    )
