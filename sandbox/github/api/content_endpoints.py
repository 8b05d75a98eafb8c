"""Endpoints of a repository's contents: files and folders."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from sandbox.github.api.call import Answer, Call, text_field
from sandbox.github.git_objects import Change, Person
from sandbox.github.repositories import Target
from sandbox.internet.web import RequestError


def get_contents(call: Call) -> Answer:
    """Describe a file with its content, or list the entries of a folder."""
    repository = call.repository()
    ref = call.query.get("ref") or repository.git.default_branch()
    commit = repository.git.resolve(ref)
    if commit is None:
        raise RequestError(404, f"No commit found for the ref {ref}")
    entry = repository.git.entry(commit, call.parts["path"])
    if entry is None:
        raise RequestError(404, "Not Found")
    if entry.kind == "tree":
        children = repository.git.children(entry)
        return Answer(
            document=[call.documents.content(repository, child, ref) for child in children]
        )
    data = repository.git.blob(entry.sha) if entry.kind == "blob" else None
    return Answer(document=call.documents.content(repository, entry, ref, data))


def put_contents(call: Call) -> Answer:
    """Write one file in one commit."""
    repository, change = call.writable_repository(), _change(call)
    data = _content(call)
    target = _target(call)
    written = repository.put(target, data, change)
    ref = target.branch or repository.git.default_branch()
    return Answer(
        document={
            "content": call.documents.content(repository, written.entry, ref),
            "commit": call.documents.commit(repository, written.commit),
        },
        status=HTTPStatus.CREATED if written.created else HTTPStatus.OK,
    )


def delete_contents(call: Call) -> Answer:
    """Delete one file in one commit."""
    repository, change = call.writable_repository(), _change(call)
    commit = repository.delete(_target(call), change)
    return Answer(document={"content": None, "commit": call.documents.commit(repository, commit)})


def _target(call: Call) -> Target:
    return Target(path=call.parts["path"], branch=call.text("branch"), sha=call.text("sha"))


def _change(call: Call) -> Change:
    """Return the message and the people in the body. The default for both people is the user."""
    committer = _person(call, "committer", default=call.user())
    author = _person(call, "author", default=committer)
    return Change(message=call.required_text("message"), author=author, committer=committer)


def _person(call: Call, role: str, default: Person) -> Person:
    given = call.body.get(role)
    if given is None:
        return default
    if not isinstance(given, dict):
        raise RequestError(422, f"Invalid request.\n\n{role} is not an object.")
    name, email = text_field(given, "name"), text_field(given, "email")
    if name is None or email is None:
        raise RequestError(422, f"Invalid request.\n\n{role} needs a name and an email.")
    return Person(name=name, email=email, date=text_field(given, "date") or "")


def _content(call: Call) -> bytes:
    content = call.body.get("content")
    # An empty text is the content of an empty file, so `Call.required_text` does not fit here.
    if not isinstance(content, str):
        raise RequestError(422, 'Invalid request.\n\n"content" wasn\'t supplied.')
    try:
        return base64.b64decode(content, validate=False)
    except binascii.Error:
        raise RequestError(422, "content is not valid Base64") from None
