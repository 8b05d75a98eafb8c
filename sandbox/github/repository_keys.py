"""Deploy keys: SSH keys that each give access to one repository and to no other."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from fleet import files
from sandbox.github.repositories import Repositories, Repository
from sandbox.github.validation_error import validation_failed
from sandbox.internet.web import RequestError

# The file is in the bare repository, so the keys stay with a repository that is renamed, and a
# deleted repository leaves none.
KEYS_FILE = "deploy-keys.json"


@dataclass(frozen=True, kw_only=True)
class DeployKey:
    """A public key: `key` has no comment, and `created_at` is ISO 8601 in UTC."""

    id: int
    title: str
    key: str
    read_only: bool
    created_at: str


class DeployKeys:
    """The deploy keys of all repositories. A key can be registered once only, as on GitHub."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories
        self._lock = threading.Lock()

    def add(self, repository: Repository, title: str, text: str, *, read_only: bool) -> DeployKey:
        """Register a public key, given as one line in OpenSSH's format."""
        key = _without_comment(text)
        with self._lock:
            if self.find(key) is not None:
                raise _invalid("key is already in use")
            made = DeployKey(
                id=secrets.randbelow(10**9) + 1,
                title=title,
                key=key,
                read_only=read_only,
                created_at=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            _save(repository, [*_read(repository), made])
        return made

    def all(self, repository: Repository) -> list[DeployKey]:
        """Return a repository's keys, oldest first."""
        return _read(repository)

    def get(self, repository: Repository, number: str) -> DeployKey:
        """Return the repository's key of that id; refuse with 404 when there is none."""
        for key in _read(repository):
            if str(key.id) == number:
                return key
        raise RequestError(404, "Not Found")

    def delete(self, repository: Repository, number: str) -> None:
        """Remove a key."""
        with self._lock:
            gone = self.get(repository, number)
            _save(repository, [key for key in _read(repository) if key != gone])

    def find(self, key: str) -> tuple[Repository, DeployKey] | None:
        """Return the repository that a key gives access to now; `key` is as in DeployKey."""
        for repository in self._repositories.all():
            for registered in _read(repository):
                if registered.key == key:
                    return repository, registered
        return None


def _read(repository: Repository) -> list[DeployKey]:
    try:
        text = (repository.directory / KEYS_FILE).read_text()
    except FileNotFoundError:
        return []
    return [DeployKey(**key) for key in json.loads(text)]


def _save(repository: Repository, keys: Sequence[DeployKey]) -> None:
    text = json.dumps([asdict(key) for key in keys], indent=1)
    files.write(repository.directory / KEYS_FILE, text.encode())


def _without_comment(text: str) -> str:
    words = text.split()[:2]
    try:
        loaded = serialization.load_ssh_public_key(text.strip().encode())
        plain = loaded.public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        ).decode()
    except (ValueError, UnsupportedAlgorithm):
        plain = ""
    # The library also reads a certificate, as the key that it contains; GitHub refuses it.
    if plain.split() != words:
        raise _invalid("key is invalid. You must supply a key in OpenSSH public key format")
    return plain


def _invalid(message: str) -> RequestError:
    return validation_failed("key", "custom", message, resource="PublicKey")
