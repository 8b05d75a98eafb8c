"""Repositories that fleet creates for tenants on GitHub, and deploy keys that only read."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
import yaml

from fleet.config import stack_files
from fleet.process import run
from sandbox.github.repositories import Repositories
from sandbox.github.repository_keys import KEYS_FILE
from sandbox.github.team_access import Teams
from sandbox.github.tokens import Grant
from sandbox.platform_repository import MAKES_REPOSITORIES, NAME, OWNER
from sandbox.sandbox_error import SandboxError
from tests.e2e.sandbox import KUSTOMIZATIONS, Sandbox
from tests.e2e.support import eventually, watching

TENANT, REPOSITORY, GITHUB_TEAM = "ledger", "ledger-apps", "ledger-devs"
CLUSTERS = NAMES = ("dev", "prod")
LEFT_OUT = "kyverno"


@pytest.fixture(scope="module")
def ledger(sandbox: Sandbox) -> None:
    """Register a tenant for which dev creates everything and prod only a key.

    The tokens get the permissions for it, after one that lacks them has been refused.
    """
    sandbox.github.create_team(OWNER, GITHUB_TEAM)
    url = sandbox.github.ssh_url(OWNER, REPOSITORY)
    tenant = {"name": TENANT, "repository": {"url": url}}
    sandbox.configure("dev", tenants=[tenant | {"create": True, "githubTeam": GITHUB_TEAM}])
    sandbox.configure("prod", tenants=[tenant | {"deployKey": 1}])
    with pytest.raises(SandboxError, match="403 Resource not accessible by personal access token"):
        sandbox.stacks.up(["dev"])
    sandbox.platform_repository.change_token(MAKES_REPOSITORIES)


def test_a_few_lines_make_a_tenant_run(sandbox: Sandbox, ledger: None) -> None:
    """The repository has an app for each environment, deploy keys, and access for the team."""
    # dev creates the repository that the key of prod belongs to, so dev comes first.
    for name in NAMES:
        sandbox.stacks.up([name])
    for name in NAMES:
        eventually(lambda name=name: _hello(sandbox, name) is not None)  # type: ignore[misc]
        assert _hello(sandbox, name) == {"environment": name, "team": TENANT}
    assert {title: key["read_only"] for title, key in _keys(sandbox).items()} == {
        f"fleet: dev/{TENANT} 1": True,
        f"fleet: prod/{TENANT} 1": True,
    }
    assert len({key["key"] for key in _keys(sandbox).values()}) == len(NAMES)
    teams = Teams(sandbox.github.directory)
    team = teams.by_slug(OWNER, GITHUB_TEAM)
    assert teams.permission(team, _repository(sandbox)) == "push"


def test_what_the_tenant_changes_stays(sandbox: Sandbox, ledger: None) -> None:
    """Changed, removed and early added files of the tenant stay as they are."""
    sandbox.configure("test", tenants=[sandbox.entries("prod", "tenants")[0]])
    url = sandbox.github.repository_url(OWNER, REPOSITORY)
    copy = sandbox.state / "ledger"
    env = sandbox.github.git_environment
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
    # The same holds when the environment is removed again.
    sandbox.configure("test", tenants=[])
    sandbox.up("dev")
    run([*git, "pull", "--quiet"], timeout=60, env=env)
    assert run([*git, "rev-parse", "HEAD"], timeout=60, env=env) == head


def test_a_lost_state_takes_over_what_is_there(sandbox: Sandbox, ledger: None) -> None:
    """A stack whose state is lost adopts the key, the repository and its files."""
    keys = _keys(sandbox)
    state = next((sandbox.state / "pulumi").rglob("stacks/**/dev.json"))
    state.unlink()
    sandbox.stacks.up(["dev"])
    # Flux would not remove the objects with the tenant if they had lost its labels.
    for kind in (f"namespace/{TENANT}-dev", f"gitrepository/{TENANT}-repo"):
        labels = sandbox.kubectl(
            "dev", "get", kind, f"--namespace={TENANT}-dev", "-o=jsonpath={.metadata.labels}"
        )
        assert json.loads(labels)["kustomize.toolkit.fluxcd.io/name"] == f"tenant-{TENANT}"
    assert _keys(sandbox) == keys
    assert all(outcome.unchanged for outcome in sandbox.up("dev"))


def test_a_second_up_makes_nothing(sandbox: Sandbox, ledger: None) -> None:
    keys, head = _keys(sandbox), sandbox.head()
    assert all(outcome.unchanged for outcome in sandbox.up(*NAMES))
    assert (_keys(sandbox), sandbox.head()) == (keys, head)


def test_private_keys_are_nowhere_in_plain_text(sandbox: Sandbox, ledger: None) -> None:
    """The state, logs, stack files and Git have no private key; each cluster has another one."""
    private = {name: _identity(sandbox, name).splitlines()[1] for name in NAMES}
    assert len(set(private.values())) == len(NAMES)
    places = [
        *(sandbox.state / "pulumi").rglob("*"),
        *(sandbox.state / "logs").rglob("*"),
        *sandbox.github.directory.rglob("*"),
        *sandbox.root.rglob("*"),
    ]
    for place in places:
        if place.is_file():
            content = place.read_bytes()
            assert not any(key.encode() in content for key in private.values()), place


def test_a_key_is_rotated_by_one_number(sandbox: Sandbox, ledger: None) -> None:
    """The old key is removed only after Flux has pulled with the new one."""
    old = f"fleet: dev/{TENANT} 1"
    handled = _handled_request(sandbox)
    seen: list[tuple[bool, bool]] = []
    _change_entry(sandbox, deployKey=2)
    with watching(
        lambda: seen.append((old in _keys(sandbox), _handled_request(sandbox) != handled))
    ):
        sandbox.up("dev")
    seen.append((old in _keys(sandbox), _handled_request(sandbox) != handled))
    assert (False, False) not in seen
    assert seen[-1] == (False, True)
    assert set(_keys(sandbox)) == {f"fleet: dev/{TENANT} 2", f"fleet: prod/{TENANT} 1"}


def test_keys_need_no_right_to_make_repositories(sandbox: Sandbox, ledger: None) -> None:
    """A token for the two repositories, without teams, registers and removes keys."""
    grant = Grant(
        owner=OWNER,
        repositories=(NAME, REPOSITORY),
        permissions={"contents": "write", "administration": "write"},
    )
    sandbox.platform_repository.change_token(grant)
    (entry,) = sandbox.entries("prod", "tenants")
    sandbox.configure("prod", tenants=[entry | {"deployKey": 2}])
    sandbox.up("prod")
    assert f"fleet: prod/{TENANT} 2" in _keys(sandbox)
    assert f"fleet: prod/{TENANT} 1" not in _keys(sandbox)
    sandbox.configure("prod", tenants=[entry])
    sandbox.up("prod")
    assert f"fleet: prod/{TENANT} 1" in _keys(sandbox)
    sandbox.platform_repository.change_token(MAKES_REPOSITORIES)


def test_a_key_that_does_not_work_replaces_none(sandbox: Sandbox, ledger: None) -> None:
    """Flux cannot pull with the new key: `up` fails and the old key stays, until it is repaired."""
    file = sandbox.root / stack_files.PROJECT_FILE
    right = file.read_text()
    wrong = yaml.safe_load(right)
    known = wrong["config"]["fleet:repository"]["value"]
    host, kind, _ = known["knownHosts"].split()
    other = base64.b64encode(base64.b64decode(known["knownHosts"].split()[2])[:-1] + b"x").decode()
    known["knownHosts"] = f"{host} {kind} {other}"
    file.write_text(yaml.safe_dump(wrong, sort_keys=False))
    _change_entry(sandbox, deployKey=3)
    # The program of the working copy gives up sooner than the shipped one, after two minutes.
    program = sandbox.root / "components" / "reconciliation.py"
    shipped = program.read_text()
    assert shipped.count('TIMEOUT = "2m"') == 1
    program.write_text(shipped.replace('TIMEOUT = "2m"', 'TIMEOUT = "20s"'))
    # The second `up` has nothing to change, but it waits for Flux again.
    for _ in range(2):
        with pytest.raises(SandboxError, match="ledger-repo"):
            sandbox.stacks.up(["dev"])
    program.write_text(shipped)
    assert {f"fleet: dev/{TENANT} 2", f"fleet: dev/{TENANT} 3"} <= set(_keys(sandbox))
    assert _hello(sandbox, "dev") is not None

    file.write_text(right)
    sandbox.up("dev")
    assert set(_keys(sandbox)) == {f"fleet: dev/{TENANT} 3", f"fleet: prod/{TENANT} 1"}


def test_a_new_seed_replaces_every_key_of_its_stack(sandbox: Sandbox, ledger: None) -> None:
    """A stolen seed is worth nothing after one `up`; the other stack keeps its key."""
    before = _keys(sandbox)
    seed = base64.b64encode(secrets.token_bytes(32)).decode()
    sandbox.stacks.run_pulumi(
        "config", "set", "--secret", "--stack", "dev", "fleet:deployKeySeed", stdin=seed
    )
    sandbox.up("dev")
    after = _keys(sandbox)
    assert set(after) == set(before)
    changed = {title for title in after if after[title]["key"] != before[title]["key"]}
    assert changed == {f"fleet: dev/{TENANT} 3"}


def test_no_key_and_no_namespace_outlives_the_tenant(sandbox: Sandbox, ledger: None) -> None:
    for name in NAMES:
        sandbox.configure(name, tenants=[])
    sandbox.up(*NAMES)
    for name in NAMES:
        # A busy machine takes its time to delete everything in a namespace.
        eventually(lambda name=name: f"{TENANT}-{name}" not in sandbox.namespaces(name), 180)  # type: ignore[misc]
    assert _keys(sandbox) == {}


def _repository(sandbox: Sandbox) -> Any:  # noqa: ANN401 - a type of the stand-in
    repositories = Repositories(sandbox.github.directory)
    return repositories.get(OWNER, REPOSITORY)


def _keys(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Return the repository's deploy keys by title."""
    file = _repository(sandbox).directory / KEYS_FILE
    found = json.loads(file.read_text()) if file.exists() else []
    return {key["title"]: key for key in found}


def _hello(sandbox: Sandbox, name: str) -> dict[str, str] | None:
    found = sandbox.get(name, "configmap", f"{TENANT}-{name}", "hello")
    return None if found is None else found["data"]


def _identity(sandbox: Sandbox, name: str) -> str:
    secret = sandbox.get(name, "secret", f"{TENANT}-{name}", f"{TENANT}-repo")
    assert secret is not None
    return base64.b64decode(secret["data"]["identity"]).decode()


def _handled_request(sandbox: Sandbox) -> str:
    """Return the last reconcile request that Flux has handled."""
    path = (
        f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{TENANT}-dev/gitrepositories/{TENANT}-repo"
    )
    status = sandbox.clusters.cluster("dev").get(path)["status"]
    handled: str = status["lastHandledReconcileAt"]
    return handled


def _change_entry(sandbox: Sandbox, **changes: object) -> None:
    (entry,) = sandbox.entries("dev", "tenants")
    sandbox.configure("dev", tenants=[entry | changes])
    assert sandbox.get("dev", KUSTOMIZATIONS, f"{TENANT}-dev", f"{TENANT}-apps") is not None
