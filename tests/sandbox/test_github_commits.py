"""Tests of branches and commits in the GitHub stand-in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.github.bare_repository import BareRepository
from sandbox.github.repositories import Repositories
from tests.sandbox.github_client import REPO, Client

# These tests run programs or servers.
pytestmark = pytest.mark.slow


def test_a_branch_is_created_read_renamed_and_deleted(client: Client) -> None:
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


def test_a_commit_lists_the_files_that_it_changed(client: Client) -> None:
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


def test_writers_at_the_same_time_all_succeed(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: client.put(f"f{n}", str(n)), range(16)))
    assert {reply.status for reply in replies} == {201}
    # 16 commits follow the first one, so no writer has replaced the commit of another.
    commits = client.call("GET", f"{REPO}/commits?per_page=100").document
    assert len(commits) == 17
    assert len(client.call("GET", f"{REPO}/contents/").document) == 17


def test_a_branch_that_git_moves_during_a_write_is_a_conflict(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repositories(client.directory).get("example", "tree")
    head = repository.git.ref("heads/main")
    assert head is not None
    move_ref = BareRepository.move_ref
    other = client.put("b", "1").document["commit"]["sha"]
    client.git("-C", str(repository.directory), "update-ref", "refs/heads/main", head)

    def move_late(self: BareRepository, name: str, new: str, old: str) -> str | None:
        client.git("-C", str(repository.directory), "update-ref", f"refs/{name}", other)
        return move_ref(self, name, new, old)

    monkeypatch.setattr(BareRepository, "move_ref", move_late)
    reply = client.put("a", "1")
    assert reply.status == 409
    assert reply.document["message"] == f"refs/heads/main is at {other} but expected {head}"


def test_two_commits_are_compared(client: Client) -> None:
    shas = [client.put(f"f{n}", "x").document["commit"]["sha"] for n in range(3)]
    client.call("POST", f"{REPO}/git/refs", {"ref": "refs/heads/other", "sha": shas[0]})
    apart = client.put("g", "x", branch="other").document["commit"]["sha"]

    def compared(base: str, head: str, query: str = "") -> tuple[str, int, int, list[str]]:
        document = client.call("GET", f"{REPO}/compare/{base}...{head}{query}").document
        shas = [commit["sha"] for commit in document["commits"]]
        assert document["total_commits"] == document["ahead_by"]
        return document["status"], document["ahead_by"], document["behind_by"], shas

    assert compared(shas[0], shas[2]) == ("ahead", 2, 0, shas[1:])
    assert compared(shas[0], "main", "?per_page=1&page=2") == ("ahead", 2, 0, shas[2:])
    assert compared(shas[2], shas[0]) == ("behind", 0, 2, [])
    assert compared(shas[2], shas[2]) == ("identical", 0, 0, [])
    assert compared("main", "other") == ("diverged", 1, 2, [apart])
    for wrong in (f"{shas[0]}...{'f' * 40}", shas[0], f"{shas[0]}..{shas[2]}"):
        assert client.call("GET", f"{REPO}/compare/{wrong}").status == 404
