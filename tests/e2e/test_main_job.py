"""Three stacks bring three clusters to their desired state, and keep them there."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import cache, files
from fleet.cli import main
from fleet.config import load
from fleet.helm import chart_lock
from fleet.helm.chart_lock import Locked
from fleet.helm.charts import Cluster, Pin
from fleet.helm.renderer import Renderer
from fleet.kube import kustomize, namespaces, schema_sources, yaml_reader
from fleet.kube.manifest import object_id
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.process import run
from fleet.render import flux
from sandbox.build import tools
from tests.e2e.sandbox import KUSTOMIZATIONS, NAMES, Sandbox, Tenant
from tests.e2e.support import eventually
from tests.e2e.terminal import Terminal

# The sandbox that people get has the tenant billing in every cluster.
CLUSTERS, SPOKE = NAMES, True


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


def test_kyverno_is_what_fleet_renders(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm's record in the cluster has the objects that fleet renders from the files alone."""
    programs = cache.programs()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    content = (tools.charts() / "kyverno/kyverno-3.9.1.tgz").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files.write(cache.download(sha256), content)
    release, source = (
        kept
        for file in ("helmrelease", "helmrepository")
        for kept in yaml_reader.mappings_in(
            sandbox.root / f"infrastructure/controllers/kyverno/{file}.yaml"
        )
    )
    pin = Pin(source="https://kyverno.github.io/kyverno", chart="kyverno", version="3.9.1")
    chart_lock.write(tmp_path, {pin: Locked(resolved="3.9.1", sha256=sha256)})
    kubernetes = schema_sources.kubernetes_version()
    rendering = Renderer(tmp_path, tmp_path, kubernetes).render(release, Cluster([source]))
    assert rendering.problem is None
    expected = {object_id(manifest): manifest for manifest in rendering.objects}

    record = sandbox.get("dev", "secrets", FLUX_NAMESPACE, "sh.helm.release.v1.kyverno.v1")
    assert record is not None
    encoded = base64.b64decode(record["data"]["release"])
    installed = json.loads(gzip.decompress(base64.b64decode(encoded)))["manifest"]
    found = {object_id(manifest): manifest for manifest in kustomize.manifests(installed)}
    assert found.keys() == expected.keys()
    assert found == expected


def test_every_cluster_pulls_its_own_path(sandbox: Sandbox) -> None:
    for cluster in NAMES:
        paths = {
            item["metadata"]["name"]: item["spec"]["path"]
            for item in sandbox.objects(cluster, KUSTOMIZATIONS)
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


def test_make_sandbox_again_changes_nothing(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second start changes nothing; its table has the tenant's namespaces and app."""
    before, ports = sandbox.head(), sandbox.processes.ports()
    pids = {file.name: file.read_text() for file in (sandbox.state / "processes").iterdir()}
    lines: list[str] = []
    assert sandbox.start(lines.append, spoke=True)
    assert sandbox.head() == before
    assert sandbox.processes.ports() == ports
    assert pids == {file.name: file.read_text() for file in (sandbox.state / "processes").iterdir()}
    ups = [line for line in lines if line.startswith("pulumi up -s ")]
    assert len(ups) == 3
    assert all(re.fullmatch(r"pulumi up -s \w+: \d+ same", line) for line in ups)
    table = capsys.readouterr().out
    for environment, replicas in (("dev", 1), ("test", 1), ("prod", 2)):
        assert f"Namespace billing-{environment} " in table
        (row,) = (
            line
            for line in table.splitlines()
            if line.startswith(f"Deployment billing in billing-{environment} ")
        )
        assert f"{replicas}/{replicas}" in row


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


def test_secrets_are_nowhere_in_plain_text(sandbox: Sandbox) -> None:
    """The state, logs, stack files, Git and command lines have no token."""
    repository = sandbox.platform_repository
    tokens = [sandbox.github.token, repository.token, repository.pull_token]
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


@pytest.fixture(scope="module")
def payments(sandbox: Sandbox) -> Iterator[Tenant]:
    """Create a tenant with an app for all three clusters, not registered in any of them."""
    tenant = Tenant(sandbox=sandbox, name="payments")
    tenant.create(NAMES)
    yield tenant
    tenant.delete()


def test_onboarding_in_three_clusters(sandbox: Sandbox, payments: Tenant) -> None:
    """A small edit in each stack file and one `up` run the app in <tenant>-<environment>."""
    head = sandbox.head()
    for name in NAMES:
        before = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        sandbox.register(name, payments)
        after = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        assert len(after) - len(before) <= 8
    started = time.monotonic()
    sandbox.stacks.up(NAMES)
    ended = time.monotonic()
    waiting = {*NAMES}
    while waiting:
        for name in sorted(waiting):
            if sandbox.replicas(name, payments.namespace(name)) == {"app": 1}:
                waiting.discard(name)
                print(f"\n{name}: applied {time.monotonic() - ended:.1f} s after the end of `up`")
        assert time.monotonic() - ended < 120, f"not in time: {waiting}"
        time.sleep(0.2)
    print(f"`up` in three clusters: {ended - started:.1f} s")
    print(*sandbox.commits(head), sep="\n")
    sandbox.converge()
    for name in NAMES:
        payments.expect_app(name, "1")


def test_a_second_up_with_tenants_changes_nothing(sandbox: Sandbox, payments: Tenant) -> None:
    head, calls = sandbox.head(), sandbox.github_calls()
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))
    assert sandbox.head() == head
    print(f"\nan `up` without a change: {(sandbox.github_calls() - calls) / 3:.0f} calls of GitHub")


def test_a_push_of_a_tenant_is_applied(sandbox: Sandbox, payments: Tenant) -> None:
    """A push to the folder of one environment changes only that one; the platform does nothing."""
    head = sandbox.head()
    files = payments.files(NAMES, "1") | payments.files(["dev"], "2")
    pushed = payments.push(files, "Version 2 in dev")
    for name in NAMES:
        assert payments.wait(name, pushed)[0]
        payments.expect_app(name, "2" if name == "dev" else "1")
    assert sandbox.head() == head


def test_the_credential_reads_one_repository_only(sandbox: Sandbox, payments: Tenant) -> None:
    """A tenant's credential opens its own repository, but no other tenant's or the platform's."""
    other = Tenant(sandbox=sandbox, name="other")
    other.create(["dev"])
    try:
        own = sandbox.tenant_repository("payments").token
        for url, opens in (
            (sandbox.tenant_repository("payments").url, True),
            (sandbox.tenant_repository("other").url, False),
            (sandbox.platform_repository.url, False),
        ):
            assert sandbox.github.can_clone(url, own) is opens
    finally:
        other.delete()


def test_tokens_of_tenants_are_nowhere_in_plain_text(sandbox: Sandbox, payments: Tenant) -> None:
    """The state, logs, stack files, Git and command lines have no token of a tenant."""
    token = sandbox.tenant_repository("payments").token
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *(sandbox.state / "processes").rglob("*"),
        *(sandbox.state / "tenants").rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        assert not place.is_file() or token.encode() not in place.read_bytes(), place
    history = sandbox.platform_repository.git("log", "--all", "--patch", "--format=%B")
    assert token not in history
    assert token not in run(["ps", "-A", "-o", "args"], timeout=30)


def test_offboarding_everywhere(sandbox: Sandbox, payments: Tenant) -> None:
    """Removed lines and one `up` leave nothing of the tenant and change nothing else."""
    kept = {name: sandbox.workloads(name) for name in NAMES}
    for name in NAMES:
        sandbox.unregister(name, payments)
    head = sandbox.head()
    sandbox.up(*NAMES)
    print("", *sandbox.commits(head), sep="\n")
    for name in NAMES:
        payments.expect_gone(name)
        own = payments.namespace(name)
        assert sandbox.workloads(name) == {
            key: version for key, version in kept[name].items() if own not in key
        }
        assert not list((sandbox.root / "clusters" / name).rglob("*payments*"))
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))


@pytest.fixture(scope="module")
def terminal(sandbox: Sandbox) -> Iterator[Terminal]:
    """A shell in the sandbox's working copy."""
    terminal = Terminal(sandbox)
    yield terminal
    terminal.close()


def test_kubectl_knows_the_contexts(terminal: Terminal) -> None:
    contexts = terminal.type("kubectl config get-contexts --output name").split()
    assert contexts == ["k3d-dev", "k3d-prod", "k3d-test"]
    pods = terminal.type("kubectl --context k3d-prod get deployments -n billing-prod")
    assert re.search(r"billing\s+2/2", pods)


def test_git_pulls_and_pushes_with_tls_verified(terminal: Terminal) -> None:
    assert "fatal" not in terminal.type("git pull")
    assert terminal.type("git status --short") == ""
    assert "billing" in terminal.type("ls clusters/dev/tenants")
    terminal.type("echo '# A note' >> apps/common/kustomization.yaml")
    terminal.type("git commit --quiet --all --message 'Add a note'")
    assert "fatal" not in terminal.type("git push")
    assert terminal.type("git fetch && git status --short --branch") == "## main...origin/main"


def test_fleet_and_pulumi_agree(terminal: Terminal, sandbox: Sandbox) -> None:
    """A stack file is edited, checked, previewed and applied; then nothing is left to do."""
    file = sandbox.platform_repository.folder / "Pulumi.dev.yaml"
    assert " 0 findings" in terminal.type("fleet check")
    assert "k3d-dev" in terminal.type("pulumi config get fleet:cluster -s dev")
    assert "dev" in terminal.type("pulumi stack ls")

    file.write_text(file.read_text().replace("podinfo/overlays/dev", "podinfo/base"))
    assert " 0 findings" in terminal.type("fleet check")
    preview = terminal.type("pulumi preview -s dev --diff")
    assert "podinfo/base" in preview
    assert re.search(r"~ \d+ to update", preview)
    assert re.search(r"~ \d+ updated", terminal.type("pulumi up -s dev --yes --skip-preview"))
    assert not re.search(
        r"\d+ to (create|update|delete|replace)", terminal.type("pulumi preview -s dev")
    )
    assert "podinfo/base" in terminal.type(
        "git pull --quiet; cat clusters/dev/apps/kustomization.yaml"
    )


def test_an_invalid_stack_file_is_one_line(terminal: Terminal, sandbox: Sandbox) -> None:
    file = sandbox.platform_repository.folder / "Pulumi.test.yaml"
    text = file.read_text()
    file.write_text(text.replace("podinfo/overlays/test", "podinfo/overlays/prod"))
    try:
        output = terminal.type("pulumi preview -s test")
        assert "Pulumi.test.yaml: fleet:apps[1]: 'podinfo/overlays/prod' is for prod" in output
        assert "Traceback" not in output
        assert terminal.type("echo code $?") != "code 0"
    finally:
        file.write_text(text)
