"""Reads the branch that a stack is committed to, by GitHub's API: a few requests for any tree."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from fleet import https
from fleet.config.models import Stack
from fleet.identity.github_api import Document, GitHubApi
from fleet.identity.reality import Branch, blob_sha
from fleet.render import identity_file

_NOT_FOUND = 404
_PER_PAGE = 100
_REQUESTS_AT_ONCE = 8


def read(api: GitHubApi, stack: Stack, files: Mapping[str, str]) -> Branch:
    """Return the branch of a stack; `files` are the texts that the run generates, by path.

    Raises FleetError when GitHub does not answer.
    """
    repository = api.repository
    full_name = f"{repository.owner}/{repository.name}"
    try:
        head = api.get("branches", repository.branch)["commit"]
    except https.StatusError as error:
        if error.status != _NOT_FOUND:
            raise
        return Branch(repository=full_name, name=repository.branch)
    blobs = dict(_blobs(api, head["commit"]["tree"]["sha"]))
    own = identity_file.path(stack)
    other = [
        path
        for path, sha in blobs.items()
        if path.startswith(f"{stack.path}/")
        and path.endswith(".yaml")
        and path != own
        and (path not in files or sha != blob_sha(files[path]))
    ]
    identity = identity_file.parse(_text(api, blobs[own])) if own in blobs else None
    with ThreadPoolExecutor(max_workers=_REQUESTS_AT_ONCE) as pool:
        texts = pool.map(lambda path: _text(api, blobs[path]), other)
        return Branch(
            repository=full_name,
            name=repository.branch,
            head=head["sha"],
            files=blobs,
            texts=dict(zip(other, texts, strict=True)),
            identity=identity,
        )


def commits_since(api: GitHubApi, base: str, head: str) -> set[str]:
    """Return the commits that `head` contains and `base` does not."""
    found: set[str] = set()
    page, total = 1, 1
    while len(found) < total and page <= total:
        answer = api.get("compare", f"{base}...{head}", per_page=_PER_PAGE, page=page)
        found |= {commit["sha"] for commit in answer["commits"]}
        page, total = page + 1, answer["total_commits"]
    return found


def _blobs(api: GitHubApi, tree: str, folder: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and SHA of every file of a tree, folder by folder if it is too large for once."""
    answer = api.get("git", "trees", tree, recursive=1)
    is_complete = not answer["truncated"]
    if not is_complete:
        answer = api.get("git", "trees", tree)
    for entry in answer["tree"]:
        path = f"{folder}{entry['path']}"
        if entry["type"] == "blob":
            yield path, entry["sha"]
        elif entry["type"] == "tree" and not is_complete:
            yield from _blobs(api, entry["sha"], f"{path}/")


def _text(api: GitHubApi, sha: str) -> str:
    blob: Document = api.get("git", "blobs", sha)
    # A file that is no text was not generated.
    return base64.b64decode(blob["content"]).decode(errors="replace")
