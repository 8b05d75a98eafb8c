"""Tests of files and folders in the GitHub stand-in."""

from __future__ import annotations

import base64

import pytest

from tests.sandbox.github_client import REPO, Client

# These tests run programs or servers.
pytestmark = pytest.mark.slow


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


def test_a_file_is_only_replaced_with_its_current_sha(client: Client) -> None:
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
def test_a_write_that_github_refuses_is_refused(
    client: Client, path: str, more: dict[str, object], status: int
) -> None:
    before = client.call("GET", f"{REPO}/git/ref/heads/main").document
    assert client.put(path, "1", **more).status == status
    assert client.call("GET", f"{REPO}/git/ref/heads/main").document == before


def test_a_commit_keeps_its_author_and_committer(client: Client) -> None:
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
def test_content_above_one_megabyte_is_left_out(client: Client, size: int) -> None:
    assert client.put("large", "x" * size).status == 201
    read = client.call("GET", f"{REPO}/contents/large").document
    assert read["size"] == size
    if size > 1 << 20:
        assert (read["content"], read["encoding"]) == ("", "none")
    else:
        assert base64.b64decode(read["content"]) == b"x" * size


def test_the_first_file_creates_the_default_branch(client: Client) -> None:
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


def test_trees_and_blobs_are_read_by_their_sha(client: Client) -> None:
    client.put("dir/ü", "1")
    head = client.call("GET", f"{REPO}/branches/main").document["commit"]
    tree = head["commit"]["tree"]["sha"]
    found = client.call("GET", f"{REPO}/git/trees/{tree}").document
    assert (found["sha"], found["truncated"]) == (tree, False)
    assert [(item["path"], item["type"]) for item in found["tree"]] == [
        ("README.md", "blob"),
        ("dir", "tree"),
    ]
    below = client.call("GET", f"{REPO}/git/trees/{tree}?recursive=1").document["tree"]
    assert [item["path"] for item in below] == ["README.md", "dir", "dir/ü"]
    for name in ("main", head["sha"]):
        assert client.call("GET", f"{REPO}/git/trees/{name}").document["sha"] == tree
    blob = client.call("GET", f"{REPO}/git/blobs/{below[2]['sha']}").document
    assert (base64.b64decode(blob["content"]), blob["encoding"], blob["size"]) == (
        b"1",
        "base64",
        1,
    )
    for path in (f"trees/{'f' * 40}", f"trees/{below[2]['sha']}", "trees/none",
                 f"blobs/{'f' * 40}", f"blobs/{tree}", "blobs/main"):  # fmt: skip
        assert client.call("GET", f"{REPO}/git/{path}").status == 404
