"""Teams of organizations, and what each may do with a repository.

They have no members, as all tokens are one user's: what is kept here is read back and decides
nothing else.
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

from sandbox.github.repositories import Repository, problem
from sandbox.host import files
from sandbox.internet.web import RequestError

# From the least to the most. Roles that an organization makes up itself are not here.
PERMISSIONS = ("pull", "triage", "push", "maintain", "admin")
# In the folder of an organization: its teams. In that of a repository: id of a team to permission.
TEAMS_FILE = "teams.json"


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team: `slug` is its name as it stands in addresses."""

    id: int
    name: str
    slug: str


class Teams:
    """All teams, at `DIRECTORY/OWNER/teams.json`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def create(self, organization: str, name: str) -> Team:
        """Create a team; its slug must be new in the organization."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if not slug:
            invalid = problem("name", "invalid", resource="Team")
            raise RequestError(422, "Validation Failed", [invalid])
        with self._lock:
            teams = self._read(organization)
            if any(team.slug == slug for team in teams):
                taken = problem("name", "already_exists", resource="Team")
                raise RequestError(422, "Validation Failed", [taken])
            made = Team(id=secrets.randbelow(10**9) + 1, name=name, slug=slug)
            text = json.dumps([asdict(team) for team in (*teams, made)], indent=1)
            files.write(self._file(organization), text.encode())
        return made

    def by_slug(self, organization: str, slug: str) -> Team:
        """Return a team; refuse with 404 when there is none."""
        return self._first(organization, lambda team: team.slug == slug)

    def by_id(self, organization: str, number: str) -> Team:
        """Return a team; refuse with 404 when there is none."""
        return self._first(organization, lambda team: str(team.id) == number)

    def permission(self, team: Team, repository: Repository) -> str:
        """Return the team's permission; refuse with 404 when it has none."""
        permission = _permissions(repository).get(str(team.id))
        if permission is None:
            raise RequestError(404, "Not Found")
        return permission

    def permit(self, team: Team, repository: Repository, permission: str) -> None:
        """Give the team a permission instead of the one that it may have."""
        if permission not in PERMISSIONS:
            invalid = problem("permission", "invalid", resource="TeamMember")
            raise RequestError(422, "Validation Failed", [invalid])
        with self._lock:
            _save(repository, {**_permissions(repository), str(team.id): permission})

    def withdraw(self, team: Team, repository: Repository) -> None:
        """Take the team's permission away."""
        with self._lock:
            self.permission(team, repository)
            left = _permissions(repository)
            del left[str(team.id)]
            _save(repository, left)

    def _first(self, organization: str, matches: Callable[[Team], bool]) -> Team:
        for team in self._read(organization):
            if matches(team):
                return team
        raise RequestError(404, "Not Found")

    def _read(self, organization: str) -> list[Team]:
        return [Team(**team) for team in _json(self._file(organization), [])]

    def _file(self, organization: str) -> Path:
        return self._directory / organization / TEAMS_FILE


def _permissions(repository: Repository) -> dict[str, str]:
    return dict(_json(repository.directory / TEAMS_FILE, {}))


def _save(repository: Repository, permissions: dict[str, str]) -> None:
    text = json.dumps(permissions, indent=1, sort_keys=True)
    files.write(repository.directory / TEAMS_FILE, text.encode())


def _json(file: Path, default: Any) -> Any:  # noqa: ANN401 - what was written
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return default
