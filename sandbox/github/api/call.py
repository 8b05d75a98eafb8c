"""One call of the REST API and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.github.documents import Document, Documents
from sandbox.github.git_objects import Person
from sandbox.github.repositories import Repository
from sandbox.github.store import Store
from sandbox.internet.web import RequestError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer; None as the document means an empty body."""

    document: Document | list[Document] | None
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] | None = None


NO_CONTENT = Answer(document=None, status=HTTPStatus.NO_CONTENT)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: named parts of its path, its query, its JSON body, and the sources of answers."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    store: Store
    documents: Documents

    def repository(self) -> Repository:
        """Return the repository in the path."""
        return self.store.repositories.get(self.parts["owner"], self.parts["name"])

    def writable_repository(self) -> Repository:
        """Return the repository in the path; refuse with 403 when it is archived."""
        repository = self.repository()
        if repository.settings()["archived"]:
            raise RequestError(403, "Repository was archived so is read-only.")
        return repository

    def organization(self) -> str:
        """Return the owner in the path; refuse with 404 when it is not an organization."""
        owner = self.parts["owner"]
        if not self.store.accounts.is_organization(owner):
            raise RequestError(404, "Not Found")
        return owner

    def user(self) -> Person:
        """Return the token's user, as the author of a commit."""
        user = self.store.accounts.user
        return Person(name=user, email=f"{user}@sandbox.invalid")

    def text(self, key: str) -> str | None:
        """Return a text of the body, or None when it is absent or empty."""
        return text_field(self.body, key)

    def required_text(self, key: str) -> str:
        """Return a text of the body; refuse with 422 when it is absent or empty."""
        value = self.text(key)
        if not value:
            raise RequestError(422, f'Invalid request.\n\n"{key}" wasn\'t supplied.')
        return value


def text_field(body: Mapping[str, Any], key: str) -> str | None:
    """Return a text of a JSON object, or None when it is absent or empty."""
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or "\0" in value:
        raise RequestError(422, f"Invalid request.\n\n{key} is not a text.")
    return value
