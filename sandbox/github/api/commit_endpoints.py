"""Endpoints of commits."""

from __future__ import annotations

from urllib.parse import urlencode

from sandbox.github.api.call import Answer, Call
from sandbox.internet.web import RequestError

MAX_PER_PAGE = 100
MAX_COMPARED = 250
_PER_PAGE = 30


def get_commit(call: Call) -> Answer:
    """Describe a commit with the files that it changed."""
    repository, ref = call.repository(), call.parts["ref"]
    sha = repository.git.resolve(ref)
    if sha is None:
        raise RequestError(422, f"No commit found for SHA: {ref}")
    commit = repository.git.commits(sha)[0]
    files = [
        {"filename": path, "status": status, "sha": blob}
        for path, status, blob in repository.git.changed_files(commit.sha)
    ]
    document = call.documents.repository_commit(repository, commit)
    return Answer(document={**document, "files": files})


def list_commits(call: Call) -> Answer:
    """List one page of commits, the newest first. A Link header names the next page."""
    repository = call.repository()
    page = max(1, _number(call.query.get("page", ""), 1))
    size = min(max(1, _number(call.query.get("per_page", ""), _PER_PAGE)), MAX_PER_PAGE)
    start = repository.git.resolve(call.query.get("sha"))
    if start is None and not call.query.get("sha"):
        raise RequestError(409, "Git Repository is empty.")
    if start is None:
        raise RequestError(404, "Not Found")
    # The additional commit shows that there is another page.
    found = repository.git.commits(
        start, path=call.query.get("path", ""), skip=(page - 1) * size, limit=size + 1
    )
    headers = {}
    if len(found) > size:
        query = urlencode({**call.query, "page": page + 1})
        url = call.documents.api_url(repository, f"/commits?{query}")
        headers["Link"] = f'<{url}>; rel="next"'
    commits = [call.documents.repository_commit(repository, commit) for commit in found[:size]]
    return Answer(document=commits, headers=headers)


def compare_commits(call: Call) -> Answer:
    """Compare two commits: list one page of those that only the second one contains, oldest first.

    GitHub also lists the changed files, which nobody here reads.
    """
    git = call.repository().git
    names = call.parts["range"].split("...")
    shas = [git.resolve(name) for name in names]
    if len(shas) != 2 or None in shas:
        raise RequestError(404, "Not Found")
    base, head = (str(sha) for sha in shas)
    common = git.merge_base(base, head)
    if common is None:
        raise RequestError(404, f"No common ancestor between {names[0]} and {names[1]}.")
    ahead, behind = git.commits_between(base, head), git.commits_between(head, base)
    page = max(1, _number(call.query.get("page", ""), 1))
    size = min(max(1, _number(call.query.get("per_page", ""), MAX_COMPARED)), MAX_COMPARED)
    listed = ahead[(page - 1) * size : page * size]
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
    describe = call.documents.repository_commit
    return Answer(
        document={
            "url": call.documents.api_url(call.repository(), f"/compare/{call.parts['range']}"),
            "base_commit": describe(call.repository(), git.commits(base)[0]),
            "merge_base_commit": describe(call.repository(), git.commits(common)[0]),
            "status": status.get((bool(ahead), bool(behind)), "identical"),
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": [describe(call.repository(), git.commits(sha)[0]) for sha in listed],
            "files": [],
        }
    )


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else default
