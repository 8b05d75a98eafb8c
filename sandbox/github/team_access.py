"""Teams of organizations, and their permissions in repositories.

A team has no members, because all tokens belong to one user. So a permission can be written and
read back, but it changes no access.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet import files
from sandbox.github.repositories import Repository
from sandbox.github.validation_error import validation_failed
from sandbox.internet.web import RequestError

# The order is from the fewest rights to the most. Custom roles of an organization are left out.
PERMISSIONS = ("pull", "triage", "push", "maintain", "admin")
# The file in an organization's folder lists its teams; the file in a repository's folder maps the
# id of a team to its permission.
TEAMS_FILE = "teams.json"


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team of an organization; `slug` is its name in URLs."""

    id: int
    name: str
    slug: str


class Teams:
    """All teams, at `DIRECTORY/OWNER/teams.json`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def create(self, organization: str, name: str) -> Team:
        """Create a team, whose slug must be new in the organization."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if not slug:
            raise validation_failed("name", "invalid", resource="Team")
        with self._lock:
            teams = self._read(organization)
            if any(team.slug == slug for team in teams):
                raise validation_failed("name", "already_exists", resource="Team")
            made = Team(id=secrets.randbelow(10**9) + 1, name=name, slug=slug)
            text = json.dumps([asdict(team) for team in (*teams, made)], indent=1)
            files.write(self._file(organization), text.encode())
        return made

    def by_slug(self, organization: str, slug: str) -> Team:
        """Return the team with that slug; refuse with 404 when there is none."""
        return self._first(organization, lambda team: team.slug == slug)

    def by_id(self, organization: str, number: str) -> Team:
        """Return the team with that id; refuse with 404 when there is none."""
        return self._first(organization, lambda team: str(team.id) == number)

    def permission(self, team: Team, repository: Repository) -> str:
        """Return the team's permission in a repository; refuse with 404 when it has none."""
        permission = _permissions(repository).get(str(team.id))
        if permission is None:
            raise RequestError(404, "Not Found")
        return permission

    def grant(self, team: Team, repository: Repository, permission: str) -> None:
        """Give the team a permission in a repository, in place of an earlier one."""
        if permission not in PERMISSIONS:
            raise validation_failed("permission", "invalid", resource="TeamMember")
        with self._lock:
            _save(repository, {**_permissions(repository), str(team.id): permission})

    def revoke(self, team: Team, repository: Repository) -> None:
        """Remove the team's permission; refuse with 404 when it has none."""
        with self._lock:
            self.permission(team, repository)
            permissions = _permissions(repository)
            del permissions[str(team.id)]
            _save(repository, permissions)

    def _first(self, organization: str, matches: Callable[[Team], bool]) -> Team:
        for team in self._read(organization):
            if matches(team):
                return team
        raise RequestError(404, "Not Found")

    def _read(self, organization: str) -> list[Team]:
        return [Team(**team) for team in _content(self._file(organization), [])]

    def _file(self, organization: str) -> Path:
        return self._directory / organization / TEAMS_FILE


def _permissions(repository: Repository) -> dict[str, str]:
    return dict(_content(repository.directory / TEAMS_FILE, {}))


def _save(repository: Repository, permissions: dict[str, str]) -> None:
    text = json.dumps(permissions, indent=1, sort_keys=True)
    files.write(repository.directory / TEAMS_FILE, text.encode())


def _content(file: Path, default: Any) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return default
