"""The GitHub stand-in, over real sockets, TLS and Git."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from sandbox.github.repositories import Repositories
from sandbox.host.certificates import Certificates
from sandbox.internet.web import RequestError
from tests.sandbox.github_client import READ, WRITE, Client, github
from tests.sandbox.servers import Certificate, make_certificate

REPO = "/repos/example/tree"


@pytest.fixture(autouse=True)
def isolated() -> None:
    """Instead of the rule that unit tests use no network: these stay on loopback."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def client(tmp_path: Path, certificate: Certificate) -> Iterator[Client]:
    """A server with one repository, example/tree, that has a first commit."""
    with github(tmp_path / "repositories", certificate) as client:
        yield client


def test_an_owner_is_an_organization_unless_the_tokens_are_theirs(client: Client) -> None:
    assert client.call("GET", "/orgs/example").document["type"] == "Organization"
    assert client.call("GET", "/orgs/someone").status == 404
    assert client.call("GET", "/users/someone").document["type"] == "User"
    assert client.call("GET", "/user").document["login"] == "someone"
    assert client.call("POST", "/user/repos", {"name": "mine"}).status == 201
    assert client.call("GET", "/repos/someone/mine").document["owner"]["type"] == "User"


def test_a_repository_is_created_read_changed_and_deleted(client: Client) -> None:
    made = client.call("GET", REPO)
    assert made.document["full_name"] == "example/tree"
    assert made.document["default_branch"] == "main"
    assert made.document["visibility"] == "private" and made.document["private"] is True
    assert made.document["clone_url"] == f"{client.url()}.git"
    assert "security_and_analysis" not in made.document

    again = client.call("POST", "/orgs/example/repos", {"name": "tree"})
    assert again.status == 422
    assert again.document["errors"][0]["message"] == "name already exists on this account"
    assert client.call("POST", "/orgs/example/repos", {"name": "../x"}).status == 422

    changed = client.call("PATCH", REPO, {"description": "Trees", "visibility": "public"})
    assert changed.status == 200 and changed.document["private"] is False
    topics = client.call("PUT", f"{REPO}/topics", {"names": ["flux"]})
    assert topics.document == {"names": ["flux"]}
    read = client.call("GET", REPO).document
    assert (read["description"], read["topics"], read["id"]) == (
        "Trees",
        ["flux"],
        made.document["id"],
    )
    assert client.call("PATCH", REPO, {"default_branch": "none"}).status == 422
    assert client.call("PATCH", REPO, {"name": "wood"}).document["full_name"] == "example/wood"
    assert client.call("GET", REPO).status == 404

    assert client.call("DELETE", "/repos/example/wood").status == 204
    assert client.call("GET", "/repos/example/wood").status == 404
    assert [path.name for path in client.directory.iterdir()] == ["example"]
    client.call("POST", "/orgs/example/repos", {"name": "tree"})
    assert client.call("GET", REPO).document["id"] != made.document["id"]


def test_an_archived_repository_is_read_only(client: Client) -> None:
    assert client.call("PATCH", REPO, {"archived": True}).status == 200
    assert client.put("a", "1").document["message"].startswith("Repository was archived")


def test_an_unchanged_answer_is_not_sent_again(client: Client) -> None:
    first = client.call("GET", REPO)
    second = client.call("GET", REPO, If_None_Match=first.headers["ETag"])
    assert (second.status, second.document) == (304, None)
    client.call("PATCH", REPO, {"description": "new"})
    assert client.call("GET", REPO, If_None_Match=first.headers["ETag"]).status == 200


def test_a_file_is_created_updated_and_deleted(client: Client) -> None:
    created = client.put("clusters/dev/a b.yaml", "one: ü\r\n", branch="main")
    assert created.status == 201
    assert created.document["content"]["path"] == "clusters/dev/a b.yaml"
    commit = created.document["commit"]
    assert commit["message"] == "Write clusters/dev/a b.yaml"
    assert commit["author"]["name"] == commit["committer"]["name"] == "someone"

    read = client.call("GET", f"{REPO}/contents/clusters/dev/a%20b.yaml?ref=main").document
    assert base64.b64decode(read["content"]) == "one: ü\r\n".encode()
    assert read["url"].endswith("/contents/clusters/dev/a%20b.yaml?ref=main")
    assert (read["type"], read["encoding"], read["size"]) == ("file", "base64", 9)

    updated = client.put("clusters/dev/a b.yaml", "two", sha=read["sha"])
    assert updated.status == 200
    assert updated.document["commit"]["parents"][0]["sha"] == commit["sha"]

    path = f"{REPO}/contents/clusters/dev/a%20b.yaml"
    sha = updated.document["content"]["sha"]
    body = {"message": "Away", "sha": sha, "branch": "main"}
    stale = client.call("DELETE", path, {**body, "sha": read["sha"]})
    assert stale.status == 409
    deleted = client.call("DELETE", path, body)
    assert deleted.status == 200 and deleted.document["commit"]["message"] == "Away"
    assert client.call("GET", path).status == 404
    assert client.call("DELETE", path, body).status == 404


def test_a_file_is_only_replaced_by_who_knows_it(client: Client) -> None:
    sha = client.put("a", "1").document["content"]["sha"]
    blind = client.put("a", "2")
    assert blind.status == 422
    assert blind.document["message"] == 'Invalid request.\n\n"sha" wasn\'t supplied.'
    assert client.put("a", "2", sha=sha).status == 200
    stale = client.put("a", "3", sha=sha)
    assert (stale.status, stale.document["message"]) == (409, f"a does not match {sha}")
    assert client.text("a") == "2"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("a", {"message": ""}, 422),
        ("a", {"content": None}, 422),
        ("a", {"content": "%%%a"}, 422),
        ("a", {"branch": "none"}, 404),
        ("a", {"committer": {"name": "only a name"}}, 422),
        ("a", {"committer": {"name": "n", "email": "e", "date": "no date"}}, 422),
        ("a", {"message": "\udc80"}, 400),
        ("a", {"branch": "x\0y"}, 422),
        (".git/config", {}, 422),
        ("../a", {}, 422),
        ("README.md/a", {}, 422),
        ("a\0b", {}, 404),
    ],
)
def test_what_github_refuses_is_refused(
    client: Client, path: str, more: dict[str, object], status: int
) -> None:
    before = client.call("GET", f"{REPO}/git/ref/heads/main").document
    assert client.put(path, "1", **more).status == status
    assert client.call("GET", f"{REPO}/git/ref/heads/main").document == before


def test_who_wrote_a_commit_is_kept(client: Client) -> None:
    author = {"name": "A", "email": "a@example.com", "date": "2024-02-03T04:05:06+00:00"}
    committer = {"name": "C", "email": "c@example.com"}
    made = client.put("a", "1", author=author, committer=committer).document["commit"]
    assert made["author"] == author
    assert (made["committer"]["name"], made["committer"]["email"]) == ("C", "c@example.com")
    alone = client.put("b", "1", committer=committer).document["commit"]
    assert alone["author"]["name"] == "C"


def test_a_folder_lists_what_is_in_it(client: Client) -> None:
    client.put("apps/dev/a.yaml", "1")
    client.put("apps/b.yaml", "2")
    listed = client.call("GET", f"{REPO}/contents/apps").document
    assert [(entry["path"], entry["type"]) for entry in listed] == [
        ("apps/b.yaml", "file"),
        ("apps/dev", "dir"),
    ]
    root = client.call("GET", f"{REPO}/contents/").document
    assert [entry["name"] for entry in root] == ["README.md", "apps"]
    assert client.put("apps", "3", sha=listed[1]["sha"]).status == 409


@pytest.mark.parametrize("size", [600_000, (1 << 20) + 1])
def test_content_above_one_megabyte_is_not_given(client: Client, size: int) -> None:
    assert client.put("large", "x" * size).status == 201
    read = client.call("GET", f"{REPO}/contents/large").document
    assert read["size"] == size
    if size > 1 << 20:
        assert (read["content"], read["encoding"]) == ("", "none")
    else:
        assert base64.b64decode(read["content"]) == b"x" * size


def test_the_first_file_makes_the_default_branch(client: Client) -> None:
    client.call("POST", "/orgs/example/repos", {"name": "empty"})
    path = "/repos/example/empty"
    assert client.call("GET", f"{path}/branches/main").status == 404
    assert client.call("GET", f"{path}/contents/a").status == 404
    assert client.call("GET", f"{path}/commits").status == 409
    body = {"message": "First", "content": "", "branch": "other"}
    assert client.call("PUT", f"{path}/contents/a", body).status == 404
    body["branch"] = "main"
    made = client.call("PUT", f"{path}/contents/a", body)
    assert made.status == 201 and made.document["commit"]["parents"] == []


def test_branches(client: Client) -> None:
    head = client.call("GET", f"{REPO}/git/ref/heads/main").document["object"]["sha"]
    new = {"ref": "refs/heads/team/x", "sha": head}
    assert client.call("POST", f"{REPO}/git/refs", new).status == 201
    twice = client.call("POST", f"{REPO}/git/refs", new)
    assert (twice.status, twice.document["message"]) == (422, "Reference already exists")
    assert "errors" not in twice.document
    assert client.call("POST", f"{REPO}/git/refs", {**new, "sha": "f" * 40}).status == 422
    assert client.call("POST", f"{REPO}/git/refs", {**new, "ref": "refs/heads/a..b"}).status == 422

    branch = client.call("GET", f"{REPO}/branches/team%2Fx").document
    assert (branch["name"], branch["commit"]["sha"]) == ("team/x", head)
    client.put("a", "1", branch="team/x")
    assert client.text("a", "team/x") == "1"
    assert client.call("GET", f"{REPO}/contents/a?ref=main").status == 404

    renamed = client.call("POST", f"{REPO}/branches/team%2Fx/rename", {"new_name": "y"})
    assert renamed.document["name"] == "y"
    assert client.call("GET", f"{REPO}/git/ref/heads/team/x").status == 404
    assert client.call("DELETE", f"{REPO}/git/refs/heads/y").status == 204
    assert client.call("DELETE", f"{REPO}/git/refs/heads/y").status == 422
    assert client.call("GET", f"{REPO}/branches/main~0").status == 404


def test_commits_say_what_they_changed(client: Client) -> None:
    sha = client.put("dir/ü", "1").document["content"]["sha"]
    client.put("b", "1")
    body = {"message": "Away", "sha": sha}
    last = client.call("DELETE", f"{REPO}/contents/dir/%C3%BC", body).document["commit"]["sha"]
    commit = client.call("GET", f"{REPO}/commits/{last}").document
    assert commit["commit"]["message"] == "Away"
    assert commit["files"] == [{"filename": "dir/ü", "status": "removed", "sha": sha}]
    touching = client.call("GET", f"{REPO}/commits?sha=main&path=dir/%C3%BC").document
    assert [commit["commit"]["message"] for commit in touching] == ["Away", "Write dir/ü"]
    first = client.call("GET", f"{REPO}/commits?per_page=1&page=4")
    assert first.document[0]["commit"]["message"] == "Initial commit"
    assert "Link" not in first.headers
    assert "page=4>" in client.call("GET", f"{REPO}/commits?per_page=1&page=3").headers["Link"]
    assert client.call("GET", f"{REPO}/commits/{'f' * 40}").status == 422
    assert client.call("GET", f"{REPO}/commits/main").document["sha"] == last


def test_a_team_gets_access_to_a_repository(client: Client) -> None:
    made = client.call("POST", "/orgs/example/teams", {"name": "Billing & Co"})
    team = made.document
    assert (made.status, team["name"], team["slug"]) == (201, "Billing & Co", "billing-co")
    assert client.call("GET", "/orgs/example/teams/billing-co").document == team
    organization = client.call("GET", "/orgs/example").document["id"]
    access = f"/organizations/{organization}/team/{team['id']}{REPO}"

    assert client.call("GET", access).status == 404
    assert client.call("PUT", access, {"permission": "push"}).status == 204
    read = client.call("GET", access)
    assert (read.document["name"], read.document["role_name"]) == ("tree", "write")
    assert read.document["permissions"] == {
        "pull": True, "triage": True, "push": True, "maintain": False, "admin": False,
    }  # fmt: skip
    assert client.call("GET", access, If_None_Match=read.headers["ETag"]).status == 304

    assert client.call("PUT", access, {"permission": "maintain"}).status == 204
    assert client.call("GET", access).document["role_name"] == "maintain"
    assert client.call("PUT", access, {}).status == 204
    assert client.call("GET", access).document["role_name"] == "read"
    assert client.call("PUT", access, {"permission": "owner"}).status == 422
    assert client.call("PATCH", REPO, {"name": "wood"}).status == 200
    access = access.replace("tree", "wood")
    assert client.call("GET", access).document["role_name"] == "read"
    assert client.call("DELETE", access, token=READ).status == 403
    assert client.call("DELETE", access).status == 204
    assert client.call("GET", access).status == client.call("DELETE", access).status == 404


def test_teams_that_github_refuses_are_refused(client: Client) -> None:
    client.call("POST", "/orgs/other/repos", {"name": "tree"})
    team = client.call("POST", "/orgs/example/teams", {"name": "billing"}).document["id"]
    twice = client.call("POST", "/orgs/example/teams", {"name": "Billing"})
    assert (twice.status, twice.document["errors"][0]["code"]) == (422, "already_exists")
    assert client.call("POST", "/orgs/example/teams", {"name": "&"}).status == 422
    assert client.call("POST", "/orgs/someone/teams", {"name": "billing"}).status == 404
    assert client.call("GET", "/orgs/example/teams/none").status == 404
    assert client.call("GET", "/orgs/other/teams/billing").status == 404
    ours, others = (
        client.call("GET", f"/orgs/{owner}").document["id"] for owner in ("example", "other")
    )
    for path in (
        f"/organizations/{others}/team/{team}/repos/other/tree",
        f"/organizations/{ours}/team/{team}/repos/other/tree",
        f"/organizations/{others}/team/{team}{REPO}",
        f"/organizations/{ours}/team/{team + 1}{REPO}",
        f"/organizations/{ours}/team/{team}/repos/example/none",
    ):
        assert client.call("PUT", path, {"permission": "pull"}).status == 404


def test_writers_at_the_same_time_all_succeed(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: client.put(f"f{n}", str(n)), range(16)))
    assert {reply.status for reply in replies} == {201}
    # One line of commits: nothing was lost.
    commits = client.call("GET", f"{REPO}/commits?per_page=100").document
    assert len(commits) == 17
    assert len(client.call("GET", f"{REPO}/contents/").document) == 17


def test_a_branch_that_git_moved_meanwhile_is_a_conflict(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.github import repositories

    repository = Repositories(client.directory).get("example", "tree")
    head = repository.ref("heads/main")
    assert head is not None
    real = repositories.Repository._move
    other = client.put("b", "1").document["commit"]["sha"]
    client.git("-C", str(repository.directory), "update-ref", "refs/heads/main", head)

    def move_late(self: repositories.Repository, name: str, new: str, old: str) -> str | None:
        client.git("-C", str(repository.directory), "update-ref", f"refs/{name}", other)
        return real(self, name, new, old)

    monkeypatch.setattr(repositories.Repository, "_move", move_late)
    reply = client.put("a", "1")
    assert reply.status == 409
    assert reply.document["message"] == f"refs/heads/main is at {other} but expected {head}"


def test_git_clones_and_pushes(client: Client, tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    client.git("clone", f"{client.url()}.git", work, token=READ)
    (tmp_path / "work/large").write_bytes(os.urandom(3 << 20))  # above http.postBuffer: chunked
    client.git("-C", work, "add", ".")
    client.git("-C", work, "commit", "-m", "By git")
    refused = client.git("-C", work, "push", "origin", "main", token=READ, fails=True)
    assert "403" in refused
    client.git("-C", work, "push", "origin", "main")
    assert client.call("GET", f"{REPO}/commits/main").document["commit"]["message"] == "By git"

    client.put("a", "1")
    client.git("-C", work, "pull", "--rebase", token=READ)
    assert (tmp_path / "work/a").read_text() == "1"
    # Without .git, and with the old protocol, as other clients do.
    client.git("-c", "protocol.version=0", "clone", "--depth=1", client.url(), f"{work}2")
    assert client.git("-C", f"{work}2", "rev-list", "--count", "HEAD").strip() == "1"


def test_git_requests_may_be_compressed(client: Client) -> None:
    connection = client.connect()
    headers = {
        "Authorization": f"Bearer {READ}",
        "Content-Type": "application/x-git-upload-pack-request",
        "Content-Encoding": "gzip",
        "Git-Protocol": "version=2",
    }
    body = gzip.compress(b"0014command=ls-refs\n0000")
    for sent in (body, iter([body[:9], body[9:]])):
        connection.request("POST", "/example/tree.git/git-upload-pack", sent, headers)
        assert b" refs/heads/main\n" in connection.getresponse().read()
    connection.close()


def test_git_needs_a_token(client: Client, tmp_path: Path) -> None:
    for token in (None, "wrong"):
        said = client.git("clone", client.url(), str(tmp_path / "x"), token=token, fails=True)
        assert "could not read Username" in said
    missing = client.git("clone", client.url("example/none"), str(tmp_path / "x"), fails=True)
    assert "not found" in missing
    connection = client.connect()
    connection.request("GET", "/example/tree.git/info/refs?service=git-upload-pack")
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="GitHub"')
    # Nothing but the smart protocol: no file of the repository is given away.
    basic = {"Authorization": f"Bearer {WRITE}"}
    for path in ("/example/tree.git/HEAD", "/example/tree.git/info/refs", "/example/tree.git"):
        connection.request("GET", path, headers=basic)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404
    connection.close()


def test_the_api_needs_a_token(client: Client) -> None:
    assert client.call("GET", REPO, token=None).status == 401
    wrong = client.call("GET", REPO, token="wrong")  # noqa: S106
    assert (wrong.status, wrong.document["message"]) == (401, "Bad credentials")
    assert client.call("GET", REPO, token=READ).status == 200
    basic = base64.b64encode(f"x:{READ}".encode()).decode()
    assert client.call("GET", REPO, token=None, Authorization=f"Basic {basic}").status == 200
    assert client.call("GET", REPO, token=None, Authorization=f"token {READ}").status == 200
    assert client.call("GET", REPO, token=None, Authorization="Basic é").status == 401
    assert client.call("PATCH", REPO, {"description": "x"}, token=READ).status == 403
    assert client.call("GET", "/nothing").status == 404


def test_a_connection_is_used_again(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    connection = client.connect()
    headers = {"Authorization": f"Bearer {WRITE}"}
    for method, path, body in (
        ("GET", "/api/v3/orgs/example", None),
        ("GET", "/api/v3/nothing", None),
        ("GET", f"/api/v3{REPO}/contents/README.md?ref=main", None),
        ("PATCH", f"/api/v3{REPO}", "{no json"),
    ):
        connection.request(method, path, body, headers)
        connection.getresponse().read()
    used = cast("ssl.SSLSocket | None", connection.sock)
    assert used is not None
    connection.request("PATCH", f"/api/v3{REPO}", iter([b'{"descr', b'iption": "c"}']), headers)
    assert json.loads(connection.getresponse().read())["description"] == "c"
    assert connection.sock is used
    connection.close()
    lines = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [line for line, _ in lines] == [
        "GET /api/v3/orgs/example 200",
        "GET /api/v3/nothing 404",
        "GET /api/v3/repos/example/tree/contents/README.md?ref=main 200",
        "PATCH /api/v3/repos/example/tree 400",
        "PATCH /api/v3/repos/example/tree 200",
    ]
    assert all(took.isdecimal() for _, took in lines)


def test_a_silent_client_delays_nobody(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)):
        assert client.call("GET", REPO).status == 200


def test_locks_of_a_killed_process_are_removed(client: Client) -> None:
    bare = client.directory / "example/tree.git"
    (bare / "refs/heads/main.lock").touch()
    (bare / "HEAD.lock").touch()
    (client.directory / ".new-x").mkdir()
    Repositories(client.directory)
    assert client.put("a", "1").status == 201
    assert not (bare / "HEAD.lock").exists()
    assert not (client.directory / ".new-x").exists()


def test_it_runs_as_a_process(tmp_path: Path, certificate: Certificate) -> None:
    for name, token in (("token", WRITE), ("read", READ), ("empty", "\n")):
        (tmp_path / name).write_text(token)
    command: list[str | Path] = [
        sys.executable, "-m", "sandbox.github", "--directory", tmp_path / "d", "--port", "0",
        "--certificate", certificate.chain, "--key", certificate.key,
        "--ssh-port", "0", "--ssh-host-key",
        Certificates(tmp_path).ssh_host_key("sandbox", "github").key,
        "--token-file", tmp_path / "token", "--read-token-file",
    ]  # fmt: skip
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, tmp_path / "read"], stdout=subprocess.PIPE, text=True, cwd=root
    ) as run:
        try:
            assert run.stdout is not None
            ssh_port, port = (int(run.stdout.readline().rsplit(":", 1)[1]) for _ in range(2))
            with socket.create_connection(("127.0.0.1", ssh_port), timeout=10) as connection:
                assert connection.recv(8) == b"SSH-2.0-"
            client = Client(port, certificate, tmp_path / "d")
            assert client.call("GET", "/user").document["login"] == "sandbox"
        finally:
            run.terminate()
        said = run.stdout.read()
    assert run.returncode == 0
    assert said.startswith("GET /api/v3/user 200 ") and "token" not in said
    failed = subprocess.run(
        [*command, tmp_path / "empty"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=root,
    )
    assert failed.returncode == 1
    assert failed.stderr == f"sandbox.github: {tmp_path / 'empty'}: holds no token\n"


def test_a_repository_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Not Found"):
        Repositories(tmp_path).get("a", "b")
