"""Teams come and go: their own repositories, a few lines in stack files, and nothing left over."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fleet.process import run
from sandbox import platform_repository, report, tenant_repositories
from sandbox.kubernetes import clusters
from sandbox.pulumi import stacks
from tests.e2e.sandbox import KUSTOMIZATIONS, NAMES, Sandbox, Team
from tests.e2e.support import eventually, kill_tree, watching

HEALTHY = 9


@pytest.fixture(scope="module")
def billing(sandbox: Sandbox) -> Iterator[Team]:
    """A team with an app for all three clusters, not yet registered in any."""
    team = Team(sandbox=sandbox, name="billing")
    team.create(NAMES)
    yield team
    team.delete()


def test_onboarding_in_three_clusters(sandbox: Sandbox, billing: Team) -> None:
    """A small edit in each stack file and one `up`: the app runs in <team>-<environment>."""
    head = sandbox.head()
    for name in NAMES:
        before = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        sandbox.register(name, billing)
        after = (sandbox.root / f"Pulumi.{name}.yaml").read_text().splitlines()
        assert len(after) - len(before) <= 8
    started = time.monotonic()
    stacks.up(sandbox.state, NAMES)
    ended = time.monotonic()
    waiting = {*NAMES}
    while waiting:
        for name in sorted(waiting):
            if sandbox.replicas(name, billing.namespace(name)) == {"app": 1}:
                waiting.discard(name)
                print(f"\n{name}: applied {time.monotonic() - ended:.1f} s after the end of `up`")
        assert time.monotonic() - ended < 120, f"not in time: {waiting}"
        time.sleep(0.2)
    print(f"`up` in three clusters: {ended - started:.1f} s")
    print(*sandbox.commits(head), sep="\n")
    sandbox.converge()
    for name in NAMES:
        billing.expect_app(name, "1")


def test_a_second_up_with_tenants_changes_nothing(sandbox: Sandbox, billing: Team) -> None:
    head, calls = sandbox.head(), sandbox.github_calls()
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))
    assert sandbox.head() == head
    print(f"\nan `up` without a change: {(sandbox.github_calls() - calls) / 3:.0f} calls of GitHub")


def test_what_a_team_pushes_arrives(sandbox: Sandbox, billing: Team) -> None:
    """In one environment only, when only that folder changes; the platform does nothing."""
    head = sandbox.head()
    files = billing.files(NAMES, "1") | billing.files(["dev"], "2")
    pushed = billing.push(files, "Version 2 in dev")
    for name in NAMES:
        assert billing.wait(name, pushed)[0]
        billing.expect_app(name, "2" if name == "dev" else "1")
    assert sandbox.head() == head


def test_the_credential_reads_one_repository_only(sandbox: Sandbox, billing: Team) -> None:
    """What the cluster has of a team's credential opens neither the platform's repository."""
    other = Team(sandbox=sandbox, name="other")
    other.create(["dev"])
    try:
        own = tenant_repositories.token(sandbox.state, "billing")
        for url, opens in (
            (tenant_repositories.url(sandbox.state, "billing"), True),
            (tenant_repositories.url(sandbox.state, "other"), False),
            (platform_repository.url(sandbox.state), False),
        ):
            assert tenant_repositories.can_clone(sandbox.state, url, own) is opens
    finally:
        other.delete()


def test_tokens_of_teams_are_nowhere_in_plain_text(sandbox: Sandbox, billing: Team) -> None:
    """As those of the platform: not in the state, logs, stack files, Git or command lines."""
    token = tenant_repositories.token(sandbox.state, "billing")
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *(sandbox.state / "processes").rglob("*"),
        *(sandbox.state / "teams").rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        assert not place.is_file() or token.encode() not in place.read_bytes(), place
    history = platform_repository.git(sandbox.state, "log", "--all", "--patch", "--format=%B")
    assert token not in history
    assert token not in run(["ps", "-A", "-o", "args"], timeout=30)


def test_a_broken_team_fails_alone(sandbox: Sandbox, billing: Team) -> None:
    """Beside nine healthy ones: an unbuildable folder, then an app that is refused, then gone."""
    healthy = [Team(sandbox=sandbox, name=f"team-{number}") for number in range(HEALTHY)]
    broken = Team(sandbox=sandbox, name="broken")
    for team in (*healthy, broken):
        team.create(["dev"])
    calls, head, started = sandbox.github_calls(), sandbox.head(), time.monotonic()
    sandbox.register("dev", *healthy, broken)
    stacks.up(sandbox.state, ["dev"])
    print(
        f"\n`up` with {HEALTHY + 1} more teams: {time.monotonic() - started:.1f} s, "
        f"{sandbox.github_calls() - calls} calls of GitHub, {len(sandbox.commits(head))} commits"
    )
    sandbox.converge()
    for team in (*healthy, broken):
        team.expect_app("dev", "1")

    pushed = broken.push({"deploy/dev/kustomization.yaml": "resources: [nothing.yaml]\n"}, "Break")
    assert not broken.wait("dev", pushed)[0]
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    pushed = broken.push({"deploy/test/kustomization.yaml": "resources: []\n"}, "No such folder")
    eventually(lambda: not _ready(sandbox, broken))
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    broken.delete()
    sandbox.reconcile("dev", "gitrepository", "broken-dev", broken.source)
    eventually(
        lambda: (
            not report.is_ready(
                sandbox.get("dev", "gitrepository", "broken-dev", broken.source) or {"metadata": {}}
            )
        )
    )
    _expect_only_broken(sandbox, broken, [billing, *healthy])

    # Offboarding many at once, one of them with its repository already gone.
    started = time.monotonic()
    sandbox.unregister("dev", *healthy, broken)
    stacks.up(sandbox.state, ["dev"])
    print(f"`up` without them again: {time.monotonic() - started:.1f} s")
    sandbox.converge()
    for team in (*healthy, broken):
        team.expect_gone("dev")
    print(f"all of them gone after {time.monotonic() - started:.1f} s")
    for team in healthy:
        team.delete()
    billing.expect_app("dev", "2")


def test_a_renamed_namespace_is_there_before_the_former_goes(
    sandbox: Sandbox, billing: Team
) -> None:
    """The former namespace has its app until what brings the new one's is there."""
    team = Team(sandbox=sandbox, name="nomad")
    team.create(["test"])
    sandbox.register("test", team)
    sandbox.up("test")
    team.expect_app("test", "1")
    sandbox.redecide("test", team, namespace="nomad-abroad")
    seen: list[tuple[bool, bool]] = []
    with watching(lambda: seen.append((_app_in(sandbox, "nomad-test"), _wired(sandbox)))):
        sandbox.up("test")
        eventually(lambda: sandbox.replicas("test", "nomad-abroad") == {"app": 1})
        eventually(lambda: "nomad-test" not in sandbox.namespaces("test"))
    assert (True, False) in seen
    assert (False, False) not in seen
    assert seen[-1] == (False, True)

    # To keep it, and then to move on: nothing goes, until people remove it.
    sandbox.redecide("test", team, keep=True)
    sandbox.up("test")
    sandbox.redecide("test", team, namespace="nomad-test")
    sandbox.up("test")
    team.expect_app("test", "1")
    assert sandbox.replicas("test", "nomad-abroad") == {"app": 1}
    sandbox.kubectl("test", "delete", "namespace", "nomad-abroad")

    sandbox.unregister("test", team)
    sandbox.up("test")
    wiring = ("gitrepositories", KUSTOMIZATIONS, "serviceaccounts", "roles", "rolebindings")
    eventually(lambda: not sandbox.names("test", "nomad-test", *wiring, "secrets") - {"default"})
    assert sandbox.replicas("test", "nomad-test") == {"app": 1}
    fence = sandbox.names("test", "nomad-test", "resourcequotas", "limitranges", "networkpolicies")
    assert fence == {"tenant", "no-critical-pods", "default-deny", "own-namespace"}
    sandbox.kubectl("test", "delete", "namespace", "nomad-test")
    team.expect_gone("test")
    team.delete()


def test_a_team_that_moves_to_another_repository_keeps_its_app(
    sandbox: Sandbox, billing: Team
) -> None:
    """The same Deployment goes on; a repository that is not there changes nothing."""
    team, other = Team(sandbox=sandbox, name="mover"), Team(sandbox=sandbox, name="moved")
    for one in (team, other):
        one.create(["test"])
    other.push(other.files(["test"], "2"), "Version 2")
    sandbox.register("test", team)
    sandbox.up("test")
    team.expect_app("test", "1")
    before = sandbox.get("test", "deployment", "mover-test", "app")
    missing = tenant_repositories.url(sandbox.state, "nowhere")
    sandbox.redecide("test", team, repository={"url": missing})
    sandbox.up("test")
    eventually(lambda: not _source_ready(sandbox, "mover-test", team))
    team.expect_app("test", "1")
    sandbox.redecide(
        "test", team, repository={"url": tenant_repositories.url(sandbox.state, "moved")}
    )
    sandbox.credential("test", team, tenant_repositories.token(sandbox.state, "moved"))
    sandbox.up("test")
    eventually(lambda: _version(sandbox, "mover-test") == "2")
    after = sandbox.get("test", "deployment", "mover-test", "app")
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] == after["metadata"]["uid"]
    sandbox.unregister("test", team)
    sandbox.up("test")
    team.expect_gone("test")
    for one in (team, other):
        one.delete()


def test_offboarding_with_a_broken_account(sandbox: Sandbox, billing: Team) -> None:
    """What Flux impersonates is gone before the team is: still nothing is stranded."""
    team = Team(sandbox=sandbox, name="fleeting")
    team.create(["test"])
    sandbox.register("test", team)
    sandbox.up("test")
    team.expect_app("test", "1")
    sandbox.kubectl(
        "test", "delete", "serviceaccounts,rolebindings", "--all", "-n", "fleeting-test"
    )
    sandbox.unregister("test", team)
    sandbox.up("test")
    team.expect_gone("test")
    team.delete()


def test_an_interrupted_offboarding_is_completed(sandbox: Sandbox, billing: Team) -> None:
    """Killed after its first commit; the same command again completes it."""
    team = Team(sandbox=sandbox, name="fickle")
    team.create(["test"])
    sandbox.register("test", team)
    sandbox.up("test")
    team.expect_app("test", "1")
    sandbox.unregister("test", team)
    head = sandbox.head()
    running = stacks.start_up(sandbox.state, "test")
    eventually(lambda: sandbox.head() != head)
    kill_tree(running.process)
    sandbox.up("test")
    team.expect_gone("test")
    team.delete()


def test_offboarding_everywhere(sandbox: Sandbox, billing: Team) -> None:
    """Removed lines, one `up`: nothing of the team is left, and nothing else has changed."""
    kept = {name: sandbox.workloads(name) for name in NAMES}
    for name in NAMES:
        sandbox.unregister(name, billing)
    head = sandbox.head()
    sandbox.up(*NAMES)
    print("", *sandbox.commits(head), sep="\n")
    for name in NAMES:
        billing.expect_gone(name)
        of_team = f"{billing.namespace(name)}"
        assert sandbox.workloads(name) == {
            key: version for key, version in kept[name].items() if of_team not in key
        }
        assert not list((sandbox.root / "clusters" / name).rglob("*billing*"))
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))


def _app_in(sandbox: Sandbox, namespace: str) -> bool:
    found = clusters.get(sandbox.state, "test", f"/apis/apps/v1/namespaces/{namespace}/deployments")
    return any(
        item["metadata"]["name"] == "app" and "deletionTimestamp" not in item["metadata"]
        for item in found["items"]
    )


def _wired(sandbox: Sandbox) -> bool:
    found = clusters.get(
        sandbox.state,
        "test",
        "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/nomad-abroad/kustomizations",
    )
    return bool(found["items"])


def _source_ready(sandbox: Sandbox, namespace: str, team: Team) -> bool:
    found = sandbox.get("test", "gitrepository", namespace, team.source)
    return found is not None and report.is_ready(found)


def _version(sandbox: Sandbox, namespace: str) -> str:
    found = sandbox.get("test", "configmap", namespace, "app") or {"data": {"version": ""}}
    version: str = found["data"]["version"]
    return version


def _ready(sandbox: Sandbox, team: Team) -> bool:
    found = sandbox.get("dev", KUSTOMIZATIONS, team.namespace("dev"), team.kustomization)
    return found is not None and report.is_ready(found)


def _expect_only_broken(sandbox: Sandbox, broken: Team, others: list[Team]) -> None:
    """Assert that the platform's and all other teams' Kustomizations are Ready, and move."""
    pushed = others[-1].push(others[-1].files(["dev"], "1"), "Nothing new")
    assert others[-1].wait("dev", pushed)[0]
    sandbox.converge()
    not_ready = [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in report.get(sandbox.state, "dev", [KUSTOMIZATIONS])
        if not report.is_ready(item)
    ]
    assert not_ready == [(broken.namespace("dev"), broken.kustomization)]
