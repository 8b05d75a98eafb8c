"""Tests of owners, repositories and their settings in the GitHub stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.github.repositories import Repositories
from sandbox.internet.web import RequestError
from tests.sandbox.github_client import REPO, Client


def test_every_owner_but_the_user_is_an_organization(client: Client) -> None:
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


def test_locks_of_a_killed_process_are_removed(client: Client) -> None:
    bare = client.directory / "example/tree.git"
    (bare / "refs/heads/main.lock").touch()
    (bare / "HEAD.lock").touch()
    (client.directory / ".new-x").mkdir()
    Repositories(client.directory)
    assert client.put("a", "1").status == 201
    assert not (bare / "HEAD.lock").exists()
    assert not (client.directory / ".new-x").exists()


def test_a_missing_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Not Found"):
        Repositories(tmp_path).get("a", "b")
