"""Endpoints of branches and refs."""

from __future__ import annotations

from http import HTTPStatus

from sandbox.github.api.call import NO_CONTENT, Answer, Call
from sandbox.github.documents import Document
from sandbox.github.repositories import Repository
from sandbox.internet.web import RequestError


def get_branch(call: Call) -> Answer:
    """Describe a branch."""
    repository, branch = call.repository(), call.parts["branch"]
    return Answer(document=_branch(call, repository, branch))


def rename_branch(call: Call) -> Answer:
    """Rename a branch."""
    repository, new = call.writable_repository(), call.required_text("new_name")
    repository.rename_branch(call.parts["branch"], new)
    return Answer(document=_branch(call, repository, new), status=HTTPStatus.CREATED)


def get_ref(call: Call) -> Answer:
    """Describe a ref."""
    repository, name = call.repository(), call.parts["ref"]
    sha = repository.git.ref(name)
    if sha is None:
        raise RequestError(404, "Not Found")
    return Answer(document=call.documents.ref(repository, name, sha))


def create_ref(call: Call) -> Answer:
    """Create a ref at a commit."""
    repository, sha = call.writable_repository(), call.required_text("sha")
    name = call.required_text("ref").removeprefix("refs/")
    repository.create_ref(name, sha)
    document = call.documents.ref(repository, name, sha)
    return Answer(document=document, status=HTTPStatus.CREATED)


def delete_ref(call: Call) -> Answer:
    """Delete a ref."""
    call.writable_repository().delete_ref(call.parts["ref"])
    return NO_CONTENT


def _branch(call: Call, repository: Repository, branch: str) -> Document:
    head = repository.git.ref(f"heads/{branch}")
    if head is None:
        raise RequestError(404, "Branch not found")
    return call.documents.branch(repository, branch, repository.git.commits(head)[0])
