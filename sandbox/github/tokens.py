"""Personal access tokens: the repositories that a token reaches, and its permissions there."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet import files
from sandbox.host.lock import locked

ANY = "*"
# "write" includes "read", as on GitHub.
_LEVELS = ("read", "write")
# Every token can read the metadata of the repositories that it reaches.
_ALWAYS = {"metadata": "read"}

Permissions = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Rights of a fine-grained token: one owner, some or ANY of its repositories, permissions.

    `permissions` maps GitHub's name of a permission, such as contents, to read or write.
    """

    owner: str
    repositories: Sequence[str]
    permissions: Permissions

    def reaches(self, owner: str, name: str) -> bool:
        """Return True when the token may know that this repository exists."""
        return self.owns(owner) and (ANY in self.repositories or name in self.repositories)

    def owns(self, owner: str) -> bool:
        """Return True when this owner is the token's."""
        return self.owner in (ANY, owner)

    def allows(self, needs: Permissions) -> bool:
        """Return True when the token has all these permissions."""
        granted = _ALWAYS | dict(self.permissions)
        levels = {need: granted.get(need, granted.get(ANY)) for need in needs}
        return all(levels[need] in _LEVELS[_LEVELS.index(needs[need]) :] for need in needs)


# A classic token, or a person in the browser, may do everything that the user may do.
EVERYTHING = Grant(owner=ANY, repositories=(ANY,), permissions={ANY: "write"})


@dataclass(frozen=True)
class TokenFiles:
    """The fine-grained tokens: one file for each, below one folder.

    A token is valid as soon as its file exists. A changed file is like a token whose permissions a
    person changes in the browser: the token stays the same.
    """

    folder: Path

    def grant(self, token: str) -> Grant | None:
        """Return the rights of a token. The time that this takes says nothing about the token."""
        found = None
        for file in self.folder.rglob("*.json"):
            content = json.loads(file.read_text())
            if hmac.compare_digest(token.encode(), content.pop("token").encode()):
                found = Grant(**content)
        return found

    def token(self, name: str, grant: Grant) -> str:
        """Return the token of a file. A new file gets these rights.

        The runs of several stacks ask at the same time, and all of them get the same token.
        """
        file = self.file(name)
        with locked(file.with_name(f"{file.name}.lock")):
            if not file.exists():
                self.save(name, secrets.token_urlsafe(24), grant)
        value: str = json.loads(file.read_text())["token"]
        return value

    def save(self, name: str, token: str, grant: Grant) -> None:
        """Write the file of a token, which only its owner may read."""
        text = json.dumps({"token": token, **asdict(grant)}, indent=1)
        files.write(self.file(name), text.encode(), 0o600)

    def file(self, name: str) -> Path:
        """Return the file of a token; a name may have slashes."""
        return self.folder / f"{name}.json"
