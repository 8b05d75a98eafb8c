"""The JSON documents of GitHub's answers, with the fields that the provider and its client read."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from sandbox.github.git_objects import Commit, Entry, Person
from sandbox.github.repositories import Repository
from sandbox.github.repository_keys import DeployKey
from sandbox.github.team_access import PERMISSIONS, Team

API = "/api/v3"
# For a larger file GitHub answers with the SHA and the size, and without the content.
MAX_CONTENT = 1 << 20
# In `role_name`, GitHub gives these permissions other names.
_ROLES = {"pull": "read", "push": "write"}
_KIND = {"blob": "file", "tree": "dir", "commit": "submodule"}

Document = dict[str, Any]


@dataclass(frozen=True)
class Documents:
    """Documents with absolute URLs.

    `base` is the address by which the client reaches this server, `ssh_base` the address of Git
    over SSH. Neither ends with a slash.
    """

    base: str
    ssh_base: str

    def account(self, login: str, *, organization: bool) -> Document:
        """Describe a user or an organization."""
        return {
            "login": login,
            "id": account_id(login),
            "type": "Organization" if organization else "User",
            "html_url": f"{self.base}/{login}",
        }

    def repository(self, repository: Repository, *, organization: bool) -> Document:
        """Describe a repository.

        `security_and_analysis` is left out, because with it the provider makes calls that this
        server does not answer.
        """
        settings = repository.settings()
        page = f"{self.base}/{repository.full_name}"
        host = self.base.split("://", 1)[-1]
        return {
            **settings,
            "node_id": f"R_{settings['id']}",
            "name": repository.name,
            "full_name": repository.full_name,
            "owner": self.account(repository.owner, organization=organization),
            "url": self.api_url(repository, ""),
            "html_url": page,
            "clone_url": f"{page}.git",
            "git_url": f"git://{host}/{repository.full_name}.git",
            "ssh_url": f"{self.ssh_base}/{repository.full_name}.git",
            "svn_url": page,
            "fork": False,
            "has_pages": False,
            "default_branch": repository.git.default_branch(),
            "permissions": {"admin": True, "push": True, "pull": True},
        }

    def deploy_key(self, repository: Repository, key: DeployKey) -> Document:
        """Describe a deploy key."""
        url = self.api_url(repository, f"/keys/{key.id}")
        return {**asdict(key), "url": url, "verified": True}

    def team(self, organization: str, team: Team) -> Document:
        """Describe a team of an organization."""
        return {
            **asdict(team),
            "node_id": f"T_{team.id}",
            "description": "",
            "privacy": "closed",
            "permission": "pull",
            "url": f"{self.base}{API}/organizations/{account_id(organization)}/team/{team.id}",
            "html_url": f"{self.base}/orgs/{organization}/teams/{team.slug}",
        }

    def team_repository(self, repository: Repository, permission: str) -> Document:
        """Describe a repository with a team's permission in it."""
        rank = PERMISSIONS.index(permission)
        return {
            **self.repository(repository, organization=True),
            "permissions": {name: at <= rank for at, name in enumerate(PERMISSIONS)},
            "role_name": _ROLES.get(permission, permission),
        }

    def branch(self, repository: Repository, name: str, head: Commit) -> Document:
        """Describe a branch."""
        return {
            "name": name,
            "commit": self.repository_commit(repository, head),
            "protected": False,
        }

    def ref(self, repository: Repository, name: str, sha: str) -> Document:
        """Describe a ref; `name` is the part after `refs/`."""
        return {
            "ref": f"refs/{name}",
            "node_id": f"REF_{name}",
            "url": self.api_url(repository, f"/git/refs/{quote(name)}"),
            "object": {
                "type": "commit",
                "sha": sha,
                "url": self.api_url(repository, f"/git/commits/{sha}"),
            },
        }

    def content(
        self, repository: Repository, entry: Entry, ref: str, data: bytes | None = None
    ) -> Document:
        """Describe a file or folder at a ref; with its content when `data` is given."""
        path = quote(entry.path, errors="surrogateescape")
        # The provider reads the ref from this URL, and fails without it.
        url = self.api_url(repository, f"/contents/{path}?ref={quote(ref, safe='')}")
        kind = "symlink" if entry.mode == "120000" else _KIND[entry.kind]
        git_kind = "trees" if kind == "dir" else "blobs"
        page = f"{self.base}/{repository.full_name}/blob/{quote(ref)}/{path}"
        git_url = self.api_url(repository, f"/git/{git_kind}/{entry.sha}")
        document = {
            "type": kind,
            "size": entry.size,
            "name": entry.path.rsplit("/", 1)[-1],
            "path": entry.path,
            "sha": entry.sha,
            "url": url,
            "git_url": git_url,
            "html_url": page,
            "download_url": None,
            "_links": {"self": url, "git": git_url, "html": page},
        }
        if data is None:
            return document
        if len(data) > MAX_CONTENT:
            return {**document, "content": "", "encoding": "none"}
        text = base64.encodebytes(data).decode()
        return {**document, "content": text, "encoding": "base64"}

    def commit(self, repository: Repository, commit: Commit) -> Document:
        """Describe a commit as an object of Git."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self.api_url(repository, f"/git/commits/{commit.sha}"),
            **self._commit_fields(repository, commit),
            "parents": self._parents(repository, commit),
        }

    def repository_commit(self, repository: Repository, commit: Commit) -> Document:
        """Describe a commit of a repository, without its files."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self.api_url(repository, f"/commits/{commit.sha}"),
            "commit": self._commit_fields(repository, commit),
            "parents": self._parents(repository, commit),
        }

    def _commit_fields(self, repository: Repository, commit: Commit) -> Document:
        return {
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "message": commit.message,
            "tree": {
                "sha": commit.tree,
                "url": self.api_url(repository, f"/git/trees/{commit.tree}"),
            },
        }

    def _parents(self, repository: Repository, commit: Commit) -> list[Document]:
        return [
            {"sha": sha, "url": self.api_url(repository, f"/commits/{sha}")}
            for sha in commit.parents
        ]

    def api_url(self, repository: Repository, tail: str) -> str:
        """Return the URL of a repository in the API, followed by `tail`."""
        return f"{self.base}{API}/repos/{repository.full_name}{tail}"


def account_id(login: str) -> int:
    """Return the id of a user or an organization, which is always the same for one login."""
    return sum(login.encode()) + 1


def _person(person: Person) -> Document:
    return {"name": person.name, "email": person.email, "date": person.date}
