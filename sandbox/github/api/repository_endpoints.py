"""Endpoints of a repository and its settings."""

from __future__ import annotations

from http import HTTPStatus

from sandbox.github import repository_settings
from sandbox.github.api.call import NO_CONTENT, Answer, Call
from sandbox.github.git_objects import Change
from sandbox.github.repositories import Repository
from sandbox.github.validation_error import validation_failed


def create_repository(call: Call) -> Answer:
    """Create a repository of the token's user, or of the organization in the path."""
    owner = call.parts.get("owner", call.store.accounts.user)
    user = call.user()
    first = Change(message="Initial commit", author=user, committer=user)
    repository = call.store.repositories.create(
        owner,
        call.required_text("name"),
        repository_settings.from_body(call.body),
        first if call.body.get("auto_init") is True else None,
    )
    return _described(call, repository, HTTPStatus.CREATED)


def get_repository(call: Call) -> Answer:
    """Describe a repository."""
    return _described(call, call.repository())


def edit_repository(call: Call) -> Answer:
    """Change settings, the default branch, the name, or several of them."""
    repository = call.repository()
    if (branch := call.text("default_branch")) and branch != repository.git.default_branch():
        repository.set_default_branch(branch)
    repository.save({**repository.settings(), **repository_settings.from_body(call.body)})
    if (name := call.text("name")) and name != repository.name:
        repository = call.store.repositories.rename(repository, name)
    return _described(call, repository)


def replace_topics(call: Call) -> Answer:
    """Replace all topics."""
    repository = call.repository()
    names = call.body.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise validation_failed("names", "invalid")
    repository.save({**repository.settings(), "topics": names})
    return Answer(document={"names": names})


def delete_repository(call: Call) -> Answer:
    """Delete a repository."""
    call.store.repositories.delete(call.repository())
    return NO_CONTENT


def _described(call: Call, repository: Repository, status: int = HTTPStatus.OK) -> Answer:
    organization = call.store.accounts.is_organization(repository.owner)
    document = call.documents.repository(repository, organization=organization)
    return Answer(document=document, status=status)
