"""Endpoints of a repository's deploy keys."""

from __future__ import annotations

from http import HTTPStatus

from sandbox.github.api.call import NO_CONTENT, Answer, Call


def list_deploy_keys(call: Call) -> Answer:
    """List all deploy keys. One page is enough, because a repository has few keys."""
    repository = call.repository()
    keys = call.store.deploy_keys.all(repository)
    return Answer(document=[call.documents.deploy_key(repository, key) for key in keys])


def create_deploy_key(call: Call) -> Answer:
    """Create a deploy key. As on GitHub, it can write unless `read_only` is true."""
    repository, title = call.writable_repository(), call.text("title") or ""
    read_only = call.body.get("read_only") is True
    text = call.required_text("key")
    key = call.store.deploy_keys.add(repository, title, text, read_only=read_only)
    document = call.documents.deploy_key(repository, key)
    return Answer(document=document, status=HTTPStatus.CREATED)


def get_deploy_key(call: Call) -> Answer:
    """Describe a deploy key."""
    repository = call.repository()
    key = call.store.deploy_keys.get(repository, call.parts["key"])
    return Answer(document=call.documents.deploy_key(repository, key))


def delete_deploy_key(call: Call) -> Answer:
    """Delete a deploy key."""
    call.store.deploy_keys.delete(call.writable_repository(), call.parts["key"])
    return NO_CONTENT
