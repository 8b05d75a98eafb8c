"""Endpoints of Git's own objects: trees and blobs."""

from __future__ import annotations

import base64

from sandbox.github.api.call import Answer, Call
from sandbox.github.documents import Document
from sandbox.github.git_objects import Entry
from sandbox.github.repositories import Repository
from sandbox.internet.web import RequestError


def get_tree(call: Call) -> Answer:
    """List the entries of a tree, with those of its folders if the query has `recursive`."""
    repository, name = call.repository(), call.parts["tree"]
    git = repository.git
    commit = git.resolve(name)
    sha = git.commits(commit)[0].tree if commit else name
    if git.object_kind(sha) != "tree":
        raise RequestError(404, "Not Found")
    tree = Entry(mode="040000", kind="tree", sha=sha, size=0, path="")
    # GitHub lists recursively for any value, also for `0` and `false`.
    entries = git.entries_below(sha) if "recursive" in call.query else git.children(tree)
    return Answer(
        document={
            "sha": sha,
            "url": call.documents.api_url(repository, f"/git/trees/{sha}"),
            "tree": [_entry(call, repository, entry) for entry in entries],
            "truncated": False,
        }
    )


def get_blob(call: Call) -> Answer:
    """Describe a blob with its content."""
    repository, sha = call.repository(), call.parts["sha"]
    if repository.git.object_kind(sha) != "blob":
        raise RequestError(404, "Not Found")
    data = repository.git.blob(sha)
    return Answer(
        document={
            "sha": sha,
            "node_id": f"B_{sha}",
            "size": len(data),
            "url": call.documents.api_url(repository, f"/git/blobs/{sha}"),
            "content": base64.encodebytes(data).decode(),
            "encoding": "base64",
        }
    )


def _entry(call: Call, repository: Repository, entry: Entry) -> Document:
    document: Document = {
        "path": entry.path,
        "mode": entry.mode,
        "type": entry.kind,
        "sha": entry.sha,
    }
    if entry.kind == "commit":
        return document
    kind = "trees" if entry.kind == "tree" else "blobs"
    size = {"size": entry.size} if entry.kind == "blob" else {}
    url = call.documents.api_url(repository, f"/git/{kind}/{entry.sha}")
    return {**document, **size, "url": url}
