"""Tests of teams and their permissions in the GitHub stand-in."""

from __future__ import annotations

from tests.sandbox.github_client import READ, REPO, Client


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


def test_a_team_or_permission_that_github_refuses_is_refused(client: Client) -> None:
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
