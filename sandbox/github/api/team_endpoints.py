"""Endpoints of an organization's teams and their permissions in repositories."""

from __future__ import annotations

from http import HTTPStatus

from sandbox.github.api.call import NO_CONTENT, Answer, Call
from sandbox.github.documents import account_id
from sandbox.github.team_access import Team
from sandbox.internet.web import RequestError


def create_team(call: Call) -> Answer:
    """Create a team."""
    owner = call.organization()
    team = call.store.teams.create(owner, call.required_text("name"))
    return Answer(document=call.documents.team(owner, team), status=HTTPStatus.CREATED)


def get_team(call: Call) -> Answer:
    """Describe the team with a slug. The provider calls this to get the team's id."""
    owner = call.organization()
    team = call.store.teams.by_slug(owner, call.parts["team"])
    return Answer(document=call.documents.team(owner, team))


def get_team_repository(call: Call) -> Answer:
    """Describe a repository with the team's permission in it.

    GitHub gives this document for the media type that the provider asks for.
    """
    team, repository = _team(call), call.repository()
    permission = call.store.teams.permission(team, repository)
    return Answer(document=call.documents.team_repository(repository, permission))


def put_team_repository(call: Call) -> Answer:
    """Give a team a permission in a repository."""
    team, repository = _team(call), call.writable_repository()
    call.store.teams.grant(team, repository, call.text("permission") or "pull")
    return NO_CONTENT


def delete_team_repository(call: Call) -> Answer:
    """Remove a team's permission in a repository."""
    call.store.teams.revoke(_team(call), call.writable_repository())
    return NO_CONTENT


def _team(call: Call) -> Team:
    """Return the team in the path, which gives the ids of the team and of its organization."""
    owner = call.organization()
    if str(account_id(owner)) != call.parts["organization"]:
        raise RequestError(404, "Not Found")
    return call.store.teams.by_id(owner, call.parts["team"])
