"""The JSON that GitHub answers with: the fields that the provider and its client read."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from sandbox.github.repositories import Commit, Entry, Person, Repository
from sandbox.github.repository_keys import DeployKey
from sandbox.github.team_access import PERMISSIONS, Team

# Above it GitHub gives a file's SHA and size, and no content.
MOST_CONTENT = 1 << 20
# GitHub's other words for these permissions.
_ROLES = {"pull": "read", "push": "write"}
_KIND = {"blob": "file", "tree": "dir", "commit": "submodule"}

Document = dict[str, Any]


@dataclass(frozen=True)
class Documents:
    """`base` is the server's own address as the client sees it, `ssh_base` that of Git over SSH.

    Both are without a slash at their end.
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

        `security_and_analysis` is left out: with it, the provider asks for more than is here.
        """
        settings = repository.settings()
        full_name = f"{repository.owner}/{repository.name}"
        page = f"{self.base}/{full_name}"
        host = self.base.split("://", 1)[-1]
        return {
            **settings,
            "node_id": f"R_{settings['id']}",
            "name": repository.name,
            "full_name": full_name,
            "owner": self.account(repository.owner, organization=organization),
            "url": self._api(repository, ""),
            "html_url": page,
            "clone_url": f"{page}.git",
            "git_url": f"git://{host}/{full_name}.git",
            "ssh_url": f"{self.ssh_base}/{full_name}.git",
            "svn_url": page,
            "fork": False,
            "has_pages": False,
            "default_branch": repository.default_branch(),
            "permissions": {"admin": True, "push": True, "pull": True},
        }

    def deploy_key(self, repository: Repository, key: DeployKey) -> Document:
        """Describe a deploy key."""
        url = self._api(repository, f"/keys/{key.id}")
        return {**asdict(key), "url": url, "verified": True}

    def team(self, organization: str, team: Team) -> Document:
        """Describe a team of an organization."""
        return {
            **asdict(team),
            "node_id": f"T_{team.id}",
            "description": "",
            "privacy": "closed",
            "permission": "pull",
            "url": f"{self.base}/api/v3/organizations/{account_id(organization)}/team/{team.id}",
            "html_url": f"{self.base}/orgs/{organization}/teams/{team.slug}",
        }

    def team_repository(self, repository: Repository, permission: str) -> Document:
        """Describe a repository as it is to a team with that permission."""
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
        """Describe a ref; `name` is what follows `refs/`."""
        return {
            "ref": f"refs/{name}",
            "node_id": f"REF_{name}",
            "url": self._api(repository, f"/git/refs/{quote(name)}"),
            "object": {
                "type": "commit",
                "sha": sha,
                "url": self._api(repository, f"/git/commits/{sha}"),
            },
        }

    def content(
        self, repository: Repository, entry: Entry, ref: str, data: bytes | None = None
    ) -> Document:
        """Describe a file or folder at a ref; with its content when `data` is given."""
        path = quote(entry.path, errors="surrogateescape")
        # The provider reads the ref back out of this address, and fails without it.
        url = self._api(repository, f"/contents/{path}?ref={quote(ref, safe='')}")
        kind = "symlink" if entry.mode == "120000" else _KIND[entry.kind]
        git_kind = "trees" if kind == "dir" else "blobs"
        page = f"{self.base}/{repository.owner}/{repository.name}/blob/{quote(ref)}/{path}"
        git_url = self._api(repository, f"/git/{git_kind}/{entry.sha}")
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
        if len(data) > MOST_CONTENT:
            return {**document, "content": "", "encoding": "none"}
        text = base64.encodebytes(data).decode()
        return {**document, "content": text, "encoding": "base64"}

    def commit(self, repository: Repository, commit: Commit) -> Document:
        """Describe a commit as an object of Git."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self._api(repository, f"/git/commits/{commit.sha}"),
            **self._inner(repository, commit),
            "parents": self._parents(repository, commit),
        }

    def repository_commit(self, repository: Repository, commit: Commit) -> Document:
        """Describe a commit of a repository, without its files."""
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": self._api(repository, f"/commits/{commit.sha}"),
            "commit": self._inner(repository, commit),
            "parents": self._parents(repository, commit),
        }

    def _inner(self, repository: Repository, commit: Commit) -> Document:
        return {
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "message": commit.message,
            "tree": {
                "sha": commit.tree,
                "url": self._api(repository, f"/git/trees/{commit.tree}"),
            },
        }

    def _parents(self, repository: Repository, commit: Commit) -> list[Document]:
        return [
            {"sha": sha, "url": self._api(repository, f"/commits/{sha}")} for sha in commit.parents
        ]

    def _api(self, repository: Repository, tail: str) -> str:
        return f"{self.base}/api/v3/repos/{repository.owner}/{repository.name}{tail}"


def account_id(login: str) -> int:
    """Return the number of a user or an organization."""
    return sum(login.encode()) + 1


def _person(person: Person) -> Document:
    return {"name": person.name, "email": person.email, "date": person.date}
