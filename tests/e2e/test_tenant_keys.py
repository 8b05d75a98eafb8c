"""What fleet makes for a team on GitHub: a repository to start with, and keys that only read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fleet.config import stack_files
from fleet.process import run
from sandbox import platform_repository, servers
from sandbox.github.repositories import Repositories
from sandbox.github.repository_keys import KEYS_FILE
from sandbox.github.team_access import Teams
from sandbox.kubernetes import clusters
from sandbox.pulumi import stacks
from sandbox.sandbox_error import SandboxError
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox
from tests.e2e.support import eventually, watching

TEAM, REPOSITORY, GITHUB_TEAM = "ledger", "ledger-apps", "ledger-devs"
NAMES = ("dev", "prod")


@pytest.fixture(scope="module")
def ledger(sandbox: Sandbox) -> Iterator[None]:
    """A team for which dev makes everything, and prod a key."""
    servers.create_team(sandbox.state, platform_repository.OWNER, GITHUB_TEAM)
    url = servers.ssh_url(sandbox.state, platform_repository.OWNER, REPOSITORY)
    team = {"name": TEAM, "repository": {"url": url}}
    sandbox.decide("dev", tenants=[team | {"create": True, "githubTeam": GITHUB_TEAM}])
    sandbox.decide("prod", tenants=[team | {"deployKey": 1}])
    yield
    for name in NAMES:
        sandbox.decide(name, tenants=[])
    sandbox.up(*NAMES)
    for name in NAMES:
        eventually(lambda name=name: f"{TEAM}-{name}" not in sandbox.namespaces(name))  # type: ignore[misc]
    assert _keys(sandbox) == {}
    servers.delete_repository(sandbox.state, platform_repository.OWNER, REPOSITORY)


def test_a_few_lines_make_a_team_run(sandbox: Sandbox, ledger: None) -> None:
    """A repository with something to deploy in each environment, keys, and access."""
    # The repository's stack first: the other one's key belongs to it.
    for name in NAMES:
        stacks.up(sandbox.state, [name])
    for name in NAMES:
        eventually(lambda name=name: _hello(sandbox, name) is not None)  # type: ignore[misc]
        assert _hello(sandbox, name) == {"environment": name, "team": TEAM}
    assert {title: key["read_only"] for title, key in _keys(sandbox).items()} == {
        f"fleet: dev/{TEAM} 1": True,
        f"fleet: prod/{TEAM} 1": True,
    }
    assert len({key["key"] for key in _keys(sandbox).values()}) == len(NAMES)
    teams = Teams(sandbox.state / "github")
    team = teams.by_slug(platform_repository.OWNER, GITHUB_TEAM)
    assert teams.permission(team, _repository(sandbox)) == "push"


def test_what_the_team_makes_of_it_stays(sandbox: Sandbox, ledger: None) -> None:
    """Its changes, its removals, and what it has begun before the platform would have."""
    sandbox.decide("test", tenants=[sandbox.entries("prod", "tenants")[0]])
    url = servers.repository_url(sandbox.state, platform_repository.OWNER, REPOSITORY)
    copy = sandbox.state / "ledger"
    env = servers.git_environment(sandbox.state)
    run(["git", "clone", "--quiet", url, str(copy)], timeout=60, env=env)
    theirs = "configMapGenerator: [{name: theirs, literals: [a=b]}]\n"
    (copy / "deploy" / "test").mkdir()
    (copy / "deploy" / "test" / "kustomization.yaml").write_text(theirs)
    (copy / "deploy" / "README.md").unlink()
    git = ["git", "-C", str(copy)]
    run([*git, "add", "--all"], timeout=60, env=env)
    run([*git, "commit", "--quiet", "--message=Ours"], timeout=60, env=env)
    run([*git, "push", "--quiet"], timeout=60, env=env)
    head = run([*git, "rev-parse", "HEAD"], timeout=60, env=env)
    sandbox.up("dev")
    assert all(outcome.unchanged for outcome in sandbox.up("dev"))
    # And when the environment goes again.
    sandbox.decide("test", tenants=[])
    sandbox.up("dev")
    run([*git, "pull", "--quiet"], timeout=60, env=env)
    assert run([*git, "rev-parse", "HEAD"], timeout=60, env=env) == head


def test_a_lost_state_takes_over_what_is_there(sandbox: Sandbox, ledger: None) -> None:
    """The key, the repository and its files; nothing is made twice, nothing is an error."""
    keys = _keys(sandbox)
    state = next((sandbox.state / "pulumi").rglob("stacks/**/dev.json"))
    state.unlink()
    sandbox.up("dev")
    assert _keys(sandbox) == keys
    assert all(outcome.unchanged for outcome in sandbox.up("dev"))


def test_a_second_up_makes_nothing(sandbox: Sandbox, ledger: None) -> None:
    keys, head = _keys(sandbox), sandbox.head()
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))
    assert (_keys(sandbox), sandbox.head()) == (keys, head)


def test_private_keys_are_nowhere_in_plain_text(sandbox: Sandbox, ledger: None) -> None:
    """Neither in the state, logs, stack files, Git, nor in another cluster."""
    private = {name: _identity(sandbox, name).splitlines()[1] for name in NAMES}
    assert len(set(private.values())) == len(NAMES)
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *(sandbox.state / "github").rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        if place.is_file():
            content = place.read_bytes()
            assert not any(key.encode() in content for key in private.values()), place


def test_a_key_is_rotated_by_one_number(sandbox: Sandbox, ledger: None) -> None:
    """The former key goes only after Flux has pulled with the new one."""
    former = f"fleet: dev/{TEAM} 1"
    handled = _handled(sandbox)
    seen: list[tuple[bool, bool]] = []
    _redecide(sandbox, deployKey=2)
    with watching(lambda: seen.append((former in _keys(sandbox), _handled(sandbox) != handled))):
        sandbox.up("dev")
    seen.append((former in _keys(sandbox), _handled(sandbox) != handled))
    assert (False, False) not in seen
    assert seen[-1] == (False, True)
    assert set(_keys(sandbox)) == {f"fleet: dev/{TEAM} 2", f"fleet: prod/{TEAM} 1"}


def test_a_key_that_does_not_work_replaces_none(sandbox: Sandbox, ledger: None) -> None:
    """Flux cannot pull with it: the run fails, the former key stays; mended, it is completed."""
    file = sandbox.root / stack_files.PROJECT_FILE
    right = file.read_text()
    wrong = yaml.safe_load(right)
    known = wrong["config"]["fleet:repository"]["value"]
    host, kind, _ = known["knownHosts"].split()
    other = base64.b64encode(base64.b64decode(known["knownHosts"].split()[2])[:-1] + b"x").decode()
    known["knownHosts"] = f"{host} {kind} {other}"
    file.write_text(yaml.safe_dump(wrong, sort_keys=False))
    _redecide(sandbox, deployKey=3)
    # The second run finds nothing to change; still it does not take the key on trust.
    for _ in range(2):
        with pytest.raises(SandboxError, match="ledger-repo"):
            stacks.up(sandbox.state, ["dev"])
    assert {f"fleet: dev/{TEAM} 2", f"fleet: dev/{TEAM} 3"} <= set(_keys(sandbox))
    assert _hello(sandbox, "dev") is not None

    file.write_text(right)
    sandbox.up("dev")
    assert set(_keys(sandbox)) == {f"fleet: dev/{TEAM} 3", f"fleet: prod/{TEAM} 1"}


def _repository(sandbox: Sandbox) -> Any:  # noqa: ANN401 - the stand-in's own
    repositories = Repositories(sandbox.state / "github")
    return repositories.get(platform_repository.OWNER, REPOSITORY)


def _keys(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """The repository's deploy keys, by title."""
    file = _repository(sandbox).directory / KEYS_FILE
    found = json.loads(file.read_text()) if file.exists() else []
    return {key["title"]: key for key in found}


def _hello(sandbox: Sandbox, name: str) -> dict[str, str] | None:
    found = sandbox.get(name, "configmap", f"{TEAM}-{name}", "hello")
    return None if found is None else found["data"]


def _identity(sandbox: Sandbox, name: str) -> str:
    secret = sandbox.get(name, "secret", f"{TEAM}-{name}", f"{TEAM}-repo")
    assert secret is not None
    return base64.b64decode(secret["data"]["identity"]).decode()


def _handled(sandbox: Sandbox) -> str:
    """What Flux was last asked to pull with, and did."""
    path = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{TEAM}-dev/gitrepositories/{TEAM}-repo"
    status = clusters.get(sandbox.state, "dev", path)["status"]
    handled: str = status["lastHandledReconcileAt"]
    return handled


def _redecide(sandbox: Sandbox, **changes: object) -> None:
    (entry,) = sandbox.entries("dev", "tenants")
    sandbox.decide("dev", tenants=[entry | changes])
    assert sandbox.get("dev", KUSTOMIZATIONS, f"{TEAM}-dev", f"{TEAM}-apps") is not None
