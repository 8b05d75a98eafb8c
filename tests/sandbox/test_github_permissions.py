"""Tests of the permissions of fine-grained tokens in the GitHub stand-in."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from sandbox.github.tokens import ANY, Grant, Permissions
from sandbox.host.checkout import CHECKOUT
from sandbox.platform_repository import MAKES_REPOSITORIES, READS_THE_TREE, WRITES_THE_TREE
from tests.sandbox.github_client import REPO, Client

# These tests run programs or servers.
pytestmark = pytest.mark.slow

TOKEN = "fine-grained"  # noqa: S105 - a token of the tests
REFUSAL = {"message": "Resource not accessible by personal access token", "status": "403"}
FILE = {"message": "Write", "content": base64.b64encode(b"1").decode()}
CONTENTS, SETTINGS = {"contents": "read"}, {"administration": "read"}
WRITE_CONTENTS, WRITE_SETTINGS = {"contents": "write"}, {"administration": "write"}
MEMBERS = {"members": "read"}
# The calls of the GitHub provider and of fleet, with the permissions in GitHub's documentation.
# Some are about things that do not exist: an allowed call only has to get past the permissions.
CALLS: list[tuple[str, str, Permissions]] = [
    ("GET", f"{REPO}/branches/main", CONTENTS),
    ("GET", f"{REPO}/git/ref/heads/main", CONTENTS),
    ("GET", f"{REPO}/contents/README.md?ref=main", CONTENTS),
    ("GET", f"{REPO}/commits?sha=main", CONTENTS),
    ("GET", f"{REPO}/commits/main", CONTENTS),
    ("GET", f"{REPO}/compare/main...main", CONTENTS),
    ("GET", f"{REPO}/git/trees/main", CONTENTS),
    ("GET", f"{REPO}/git/blobs/none", CONTENTS),
    ("PUT", f"{REPO}/contents/a", WRITE_CONTENTS),
    ("DELETE", f"{REPO}/contents/a", WRITE_CONTENTS),
    ("POST", f"{REPO}/git/refs", WRITE_CONTENTS),
    ("DELETE", f"{REPO}/git/refs/heads/none", WRITE_CONTENTS),
    ("GET", f"{REPO}/keys", SETTINGS),
    ("GET", f"{REPO}/keys/1", SETTINGS),
    ("POST", f"{REPO}/keys", WRITE_SETTINGS),
    ("DELETE", f"{REPO}/keys/1", WRITE_SETTINGS),
    ("PATCH", REPO, WRITE_SETTINGS),
    ("PUT", f"{REPO}/topics", WRITE_SETTINGS),
    ("POST", "/orgs/example/repos", WRITE_SETTINGS),
    ("GET", "/orgs/example/teams/none", MEMBERS),
    ("GET", f"/organizations/1/team/1{REPO}", MEMBERS),
    ("PUT", f"/organizations/1/team/1{REPO}", MEMBERS | WRITE_SETTINGS),
    ("DELETE", f"/organizations/1/team/1{REPO}", MEMBERS | WRITE_SETTINGS),
]


def grant(client: Client, permissions: Permissions, *repositories: str) -> None:
    """Give the token of the tests these permissions, in all repositories or in some."""
    client.tokens.save(
        "token",
        TOKEN,
        Grant(owner="example", repositories=repositories or (ANY,), permissions=permissions),
    )


@pytest.mark.parametrize(("method", "path", "needs"), CALLS)
def test_a_call_needs_exactly_its_permissions(
    client: Client, method: str, path: str, needs: Permissions
) -> None:
    everything = {"contents": "write", "administration": "write", "members": "write"}
    grant(client, needs)
    assert client.call(method, path, {}, token=TOKEN).document != REFUSAL
    for name, level in needs.items():
        less = {"write": {name: "read"}, "read": {}}[level]
        others = {key: value for key, value in everything.items() if key != name}
        grant(client, others | less)
        assert client.call(method, path, {}, token=TOKEN).document == REFUSAL


def test_every_token_reads_the_metadata_of_its_repositories(client: Client) -> None:
    grant(client, {}, "tree")
    assert client.call("GET", REPO, token=TOKEN).status == 200
    for path in ("/user", "/users/someone", "/orgs/example"):
        assert client.call("GET", path, token=TOKEN).status == 200


def test_another_repository_does_not_exist_for_a_token(client: Client, tmp_path: Path) -> None:
    for owner in ("example", "other"):
        client.call("POST", f"/orgs/{owner}/repos", {"name": "secret", "auto_init": True})
    grant(client, {"contents": "write", "administration": "write"}, "tree")
    for other in ("example/secret", "other/secret", "example/none"):
        for path in ("", "/contents/README.md"):
            reply = client.call("GET", f"/repos/{other}{path}", token=TOKEN)
            assert (reply.status, reply.document["message"]) == (404, "Not Found")
        said = client.git("clone", client.url(other), str(tmp_path / "x"), token=TOKEN, fails=True)
        assert "not found" in said
    # All repositories of its owner are none of another owner's.
    grant(client, {"contents": "read"})
    assert client.call("GET", "/repos/example/secret", token=TOKEN).status == 200
    assert client.call("GET", "/repos/other/secret", token=TOKEN).status == 404


def test_only_a_token_for_all_repositories_makes_one(client: Client) -> None:
    grant(client, WRITE_SETTINGS, "tree")
    made = client.call("POST", "/orgs/example/repos", {"name": "new"}, token=TOKEN)
    assert (made.status, made.document) == (403, REFUSAL)
    for path in ("/orgs/other/repos", "/user/repos"):
        assert client.call("POST", path, {"name": "new"}, token=TOKEN).document == REFUSAL
    grant(client, WRITE_SETTINGS)
    assert client.call("POST", "/orgs/example/repos", {"name": "new"}, token=TOKEN).status == 201


def test_git_needs_contents(client: Client, tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    grant(client, WRITE_SETTINGS, "tree")
    said = client.git("clone", client.url(), work, token=TOKEN, fails=True)
    assert "403" in said
    grant(client, CONTENTS, "tree")
    client.git("clone", client.url(), work, token=TOKEN)
    client.git("-C", work, "commit", "--allow-empty", "-m", "Mine")
    said = client.git("-C", work, "push", "origin", "main", token=TOKEN, fails=True)
    assert "403" in said
    grant(client, WRITE_CONTENTS, "tree")
    client.git("-C", work, "push", "origin", "main", token=TOKEN)
    assert client.call("GET", f"{REPO}/commits/main").document["commit"]["message"] == "Mine"


def test_a_token_writes_a_file_with_contents_alone(client: Client) -> None:
    grant(client, WRITE_CONTENTS, "tree")
    assert client.call("PUT", f"{REPO}/contents/a", FILE, token=TOKEN).status == 201
    assert client.call("GET", f"{REPO}/contents/a", token=TOKEN).status == 200


@pytest.mark.parametrize(
    ("credential", "granted"),
    [
        ("`github:token`", WRITES_THE_TREE),
        ("`github:token`, tenants with `githubTeam`", MAKES_REPOSITORIES),
        ("`fleet:pullToken`", READS_THE_TREE),
    ],
)
def test_the_sandbox_uses_the_documented_permissions(credential: str, granted: Grant) -> None:
    """The tokens of the sandbox have the permissions in SECURITY.md, and no others."""
    page = (CHECKOUT / "SECURITY.md").read_text()
    rows = (line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| "))
    ((_, repositories, permissions), *_) = (row for row in rows if row[0] == credential)
    documented = dict(re.findall(r"(\w+) \((read|write)\)", permissions.lower()))
    assert documented == granted.permissions
    assert (repositories == "all of the owner") == (granted.repositories == (ANY,))
