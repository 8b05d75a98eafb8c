"""A cluster moves to another branch and to another stack name, and nothing that runs is touched."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from fleet.kube import namespaces
from fleet.process import run
from fleet.render import flux
from sandbox.platform_repository import NAME, OWNER, READS_THE_TREE, WRITES_THE_TREE
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox
from tests.e2e.support import end_session, eventually, kill_tree
from tests.support import kustomization

pytestmark = pytest.mark.long
CLUSTERS = ["dev"]
MINUTES = 11
ENGINE = "pulumi"
VICTIMS = (ENGINE, "pulumi-resource-github", "pulumi-resource-kubernetes")
SYNC = "flux-system/gotk-sync.yaml"
_GIT_REPOSITORIES = "gitrepositories.source.toolkit.fluxcd.io"
_VOLUME = """\
apiVersion: v1
kind: PersistentVolume
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  hostPath: {path: /data}
"""
_CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: team-x}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  volumeName: data
  resources: {requests: {storage: 1Gi}}
"""


class Moves:
    """The moves of the cluster dev, and what must not change in them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.stack = "dev"
        self.branch = "main"

    @property
    def place(self) -> tuple[str, str]:
        """The branch and the path that the cluster is to follow."""
        return self.branch, f"clusters/{self.stack}"

    def start(self, *, branch: str | None = None, stack: str | None = None) -> None:
        """Edit the stack file so that the cluster moves to this place."""
        former: dict[str, str] = {}
        if stack is not None:
            former["stack"] = self.stack
            self.sandbox.stacks.run_pulumi("stack", "rename", stack, "--stack", self.stack)
            self.stack = stack
        if branch is not None:
            former["branch"] = self.branch
            self.branch = branch
        self.configure({"branch": self.branch}, {"movesFrom": former})

    def finish(self) -> None:
        """Remove the key, so that the next run removes the former tree."""
        self.configure({"branch": self.branch}, {})

    def up(self) -> None:
        """Run `up` and wait until the cluster follows the present place."""
        self.sandbox.stacks.up([self.stack])
        eventually(self.has_arrived)

    def interrupted(self, victim: str, when: Callable[[], bool]) -> None:
        """Run `up`, and kill one of its programs as soon as `when` is true."""
        running = self.sandbox.stacks.start_up(self.stack)
        eventually(lambda: when() or running.finished(), 180)
        assert not running.finished(), running.log.read_text()
        if victim == ENGINE:
            kill_tree(running.process)
            return
        # A provider that has nothing left to do may have ended, and it is not missed.
        pkill = ["pkill", "-KILL", "-s", str(running.process.pid), "-f", victim]
        run(pkill, timeout=30, accept=(0, 1))
        running.process.wait(timeout=300)
        end_session(str(running.process.pid))

    def refusal(self) -> str:
        """Run `up`, which has to fail and write nothing; return what it said."""
        before = self.heads()
        running = self.sandbox.stacks.start_up(self.stack)
        assert running.process.wait(timeout=180) != 0
        assert self.heads() == before
        return running.log.read_text()

    def preview(self) -> str:
        """Return the output of `pulumi preview`, which fails if anything would change."""
        args = ("preview", "--stack", self.stack, "--expect-no-changes", "--color", "never")
        return self.sandbox.stacks.run_pulumi(*args)

    def follows(self) -> tuple[str, str]:
        """Return the branch and the path that the cluster follows."""
        source = self._object(_GIT_REPOSITORIES)
        path: str = self._object(KUSTOMIZATIONS)["spec"]["path"]
        return source["spec"]["ref"]["branch"], path.removeprefix("./")

    def has_arrived(self) -> bool:
        """Say whether all the platform's Kustomizations are Ready at the present place."""
        items = self.sandbox.objects("dev", KUSTOMIZATIONS, namespaces.FLUX_NAMESPACE)
        return all(
            item["spec"]["path"].startswith(f"./clusters/{self.stack}")
            and item["status"].get("lastAppliedRevision", "").startswith(f"{self.branch}@")
            and item["status"]["observedGeneration"] == item["metadata"]["generation"]
            for item in items
        )

    def running(self) -> dict[str, Any]:
        """Return UID and version of all workloads and volume claims."""
        found = {
            f"{kind} {item['metadata']['name']}": item["metadata"]["uid"]
            for kind in ("persistentvolumeclaims", "deployments")
            for item in self.sandbox.objects("dev", kind, "team-x")
        }
        assert set(found) >= {"persistentvolumeclaims data", "deployments podinfo"}
        return {**self.sandbox.workloads("dev"), **found}

    def heads(self) -> dict[str, str]:
        """Return the last commit of every branch."""
        form = "--format=%(refname:lstrip=2) %(objectname)"
        found = self.sandbox.github.git_on_server(OWNER, NAME, "for-each-ref", form)
        return dict(line.split() for line in found.splitlines())

    def files(self, branch: str) -> set[str]:
        """Return the files below clusters/ of a branch."""
        self._git("fetch", "--quiet", "origin")
        listed = self._git("ls-tree", "-r", "--name-only", f"origin/{branch}", "clusters")
        return set(listed.splitlines())

    def text(self, place: tuple[str, str], file: str) -> str:
        """Return a file of the tree at a place, nothing if there is none."""
        branch, path = place
        # The end of a step is seen in time only if a look takes little of the run's own time.
        github, blob = self.sandbox.github, f"{branch}:{path}/{file}"
        return github.git_on_server(OWNER, NAME, "show", blob, accept=(0, 128))

    def expect_no_duplicates(self, heads: Mapping[str, str]) -> None:
        """Assert that every commit since these heads of branches changes something."""
        self._git("fetch", "--quiet", "origin")
        for branch, head in heads.items():
            for commit in self._git("rev-list", f"{head}..origin/{branch}").splitlines():
                args = ("diff-tree", "--no-commit-id", "--name-only", "-r", commit)
                assert self._git(*args), self._git("show", commit)

    def configure(self, repository: Mapping[str, str], cluster: Mapping[str, object]) -> None:
        """Set keys of the repository and the cluster in the stack file; the others are as usual."""
        file = self.sandbox.root / f"Pulumi.{self.stack}.yaml"
        content = yaml.safe_load(file.read_text())
        usual = content["config"]["fleet:cluster"]
        connection = {key: usual[key] for key in ("kubeconfig", "context")}
        project = yaml.safe_load((self.sandbox.root / "Pulumi.yaml").read_text())
        shared = project["config"]["fleet:repository"]["value"]
        content["config"] |= {
            "fleet:cluster": {**connection, "environment": "dev", **cluster},
            "fleet:repository": {**shared, **repository},
        }
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def _object(self, kind: str) -> dict[str, Any]:
        found = self.sandbox.get("dev", kind, namespaces.FLUX_NAMESPACE, flux.SYNC_NAME)
        assert found is not None
        return found

    def _git(self, *args: str) -> str:
        return self.sandbox.platform_repository.git(*args)


@pytest.fixture(scope="module")
def moves(sandbox: Sandbox) -> Iterator[Moves]:
    """Give the cluster a volume claim beside its Deployments, and the repository a branch."""
    files = {
        "apps/data/kustomization.yaml": kustomization("claim.yaml"),
        "apps/data/claim.yaml": _CLAIM,
    }
    repository = sandbox.platform_repository
    repository.pull()
    for path, text in files.items():
        (sandbox.root / path).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.root / path).write_text(text)
    repository.push("A volume claim")
    # Flux waits until the claim is bound.
    sandbox.kubectl("dev", "apply", "--filename=-", stdin=_VOLUME)
    sandbox.configure("dev", apps=[*sandbox.entries("dev", "apps"), "data"])
    sandbox.up("dev")
    repository.pull()
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/release")
    yield Moves(sandbox)


def test_a_branch_is_refused_without_the_key(moves: Moves) -> None:
    before = moves.running()
    moves.branch = "release"
    moves.finish()
    try:
        said = moves.refusal()
        assert "fleet:cluster.movesFrom: {branch: main}" in said
    finally:
        moves.branch = "main"
        moves.finish()
    assert moves.running() == before


def test_a_state_of_an_earlier_version_can_move(moves: Moves) -> None:
    """Earlier versions protected the entrypoint, and the next tests move it."""
    pulumi = moves.sandbox.stacks.run_pulumi
    state = json.loads(pulumi("stack", "export", "--stack", "dev"))
    by_name = {item["urn"].rpartition("::")[2]: item for item in state["deployment"]["resources"]}
    entrypoint = by_name["clusters/dev/kustomization.yaml"]
    entrypoint |= {"protect": True, "retainOnDelete": True}
    del entrypoint["deletedWith"]
    del by_name["GitRepositoryPatch/flux-system/flux-system"]["protect"]
    pulumi("stack", "import", "--stack", "dev", stdin=json.dumps(state))
    before = moves.heads()
    moves.up()
    assert moves.heads() == before
    state = json.loads(pulumi("stack", "export", "--stack", "dev"))
    protected = [item["urn"] for item in state["deployment"]["resources"] if item.get("protect")]
    assert [urn.rpartition("::")[2] for urn in protected] == [
        "GitRepositoryPatch/flux-system/flux-system"
    ]


def test_to_another_branch_and_back(moves: Moves) -> None:
    """The engine is killed when the former tree leads on, before the cluster follows."""
    before, start = moves.running(), moves.heads()
    moves.start(branch="release")
    moves.interrupted(ENGINE, lambda: moves.heads()["main"] != start["main"])
    moves.up()
    assert moves.follows() == ("release", "clusters/dev")
    assert moves.files("main") == moves.files("release")
    # The key may stay for a while.
    moves.preview()
    moves.finish()
    moves.up()
    assert moves.files("main") == set()
    moves.preview()
    moves.start(branch="main")
    moves.up()
    assert moves.follows() == ("main", "clusters/dev")
    moves.finish()
    moves.up()
    assert moves.files("release") == set()
    assert moves.running() == before
    moves.expect_no_duplicates(start)


def test_to_another_stack_name_and_back(moves: Moves) -> None:
    before, start = moves.running(), moves.heads()
    for name, former in (("edge", "dev"), ("dev", "edge")):
        moves.start(stack=name)
        assert not (moves.sandbox.root / f"Pulumi.{former}.yaml").exists()
        moves.up()
        assert moves.follows() == ("main", f"clusters/{name}")
        moves.finish()
        moves.up()
        assert {path.split("/")[1] for path in moves.files("main")} == {name}
        assert moves.running() == before
    moves.preview()
    moves.expect_no_duplicates(start)


@pytest.mark.parametrize(("part", "first_victim"), [("branch", 0), ("branch", 1), ("stack", 2)])
def test_a_move_that_is_killed_at_each_step(moves: Moves, part: str, first_victim: int) -> None:
    """After each kill, one more `up` completes what the killed one had to do."""
    before, start = moves.running(), moves.heads()
    former = moves.place
    if part == "branch":
        moves.start(branch="main" if moves.branch == "release" else "release")
    else:
        moves.start(stack="edge")
    place = moves.place
    victims = itertools.cycle(VICTIMS[first_victim:] + VICTIMS[:first_victim])
    steps: list[Callable[[], bool]] = [
        lambda: moves.text(place, "flux-system/cluster-identity.yaml") != "",
        lambda: moves.text(place, "kustomization.yaml") != "",
        lambda: moves.text(former, SYNC) == moves.text(place, SYNC) != "",
        lambda: moves.follows() == place,
    ]
    for step in steps:
        moves.interrupted(next(victims), step)
    moves.up()
    assert moves.follows() == place
    moves.finish()
    for step in (
        lambda: moves.text(former, "kustomization.yaml") == "",
        lambda: moves.text(former, SYNC) == "",
    ):
        moves.interrupted(next(victims), step)
    moves.up()
    assert {path for path in moves.files(former[0]) if path.startswith(former[1])} == set()
    assert moves.running() == before
    moves.expect_no_duplicates(start)


def test_to_another_repository(moves: Moves) -> None:
    """Another repository is refused; the way on forgets the state and adopts the cluster."""
    sandbox, before = moves.sandbox, moves.running()
    uid = sandbox.kubectl("dev", "get", "namespace", "kube-system", "-o=jsonpath={.metadata.uid}")
    sandbox.github.create_repository(OWNER, "other")
    url = sandbox.github.repository_url(OWNER, "other")
    sandbox.platform_repository.git(
        "push", "--quiet", url, f"origin/{moves.branch}:refs/heads/main"
    )
    moves.branch = "main"
    moves.configure({"name": "other", "url": url}, {})
    assert "github:token does not reach that repository" in moves.refusal()
    both = (NAME, "other")
    sandbox.platform_repository.change_token(replace(WRITES_THE_TREE, repositories=both))
    sandbox.platform_repository.change_pull_token(replace(READS_THE_TREE, repositories=both))
    assert f"set fleet:cluster.adopts: {uid}" in moves.refusal()
    assert moves.running() == before

    moves.configure({"name": "other", "url": url}, {"adopts": uid})
    sandbox.stacks.run_pulumi("stack", "rm", moves.stack, "--force", "--preserve-config", "--yes")
    moves.up()
    moves.configure({"name": "other", "url": url}, {})
    moves.up()
    moves.preview()
    assert moves.running() == before
