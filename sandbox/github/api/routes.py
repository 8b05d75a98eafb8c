"""The table of all REST calls that the stand-in answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from sandbox.github.api import (
    account_endpoints,
    branch_endpoints,
    commit_endpoints,
    content_endpoints,
    deploy_key_endpoints,
    git_endpoints,
    repository_endpoints,
    team_endpoints,
)
from sandbox.github.api.call import Answer, Call
from sandbox.github.tokens import Permissions
from sandbox.internet.web import RequestError

Endpoint = Callable[[Call], Answer]

_REPO = r"/repos/(?P<owner>[^/]+)/(?P<name>[^/]+)"
_TEAM_REPO = rf"/organizations/(?P<organization>[0-9]+)/team/(?P<team>[0-9]+){_REPO}"


@dataclass(frozen=True)
class Route:
    """One REST call: its method and path, its endpoint, and what a token needs for it.

    The pattern matches the path before it is decoded, so an escaped slash in a branch's name does
    not end the name.
    """

    needs: Permissions
    method: str
    pattern: re.Pattern[str]
    endpoint: Endpoint

    @property
    def makes_repository(self) -> bool:
        """True when the call makes a repository."""
        return self.endpoint is repository_endpoints.create_repository


def _routes(needs: Permissions, *calls: tuple[str, str, Endpoint]) -> tuple[Route, ...]:
    return tuple(
        Route(needs, method, re.compile(pattern), endpoint) for method, pattern, endpoint in calls
    )


# The permissions are those that GitHub's documentation of the REST API names for each call.
ROUTES = (
    *_routes(
        {},
        ("GET", r"/user", account_endpoints.get_user),
        ("GET", r"/users/(?P<owner>[^/]+)", account_endpoints.get_user),
        ("GET", r"/orgs/(?P<owner>[^/]+)", account_endpoints.get_organization),
    ),
    *_routes(
        {"metadata": "read"},
        ("GET", _REPO, repository_endpoints.get_repository),
    ),
    *_routes(
        {"contents": "read"},
        ("GET", rf"{_REPO}/branches/(?P<branch>[^/]+)", branch_endpoints.get_branch),
        ("GET", rf"{_REPO}/git/ref/(?P<ref>.+)", branch_endpoints.get_ref),
        ("GET", rf"{_REPO}/contents/?(?P<path>.*)", content_endpoints.get_contents),
        ("GET", rf"{_REPO}/commits", commit_endpoints.list_commits),
        ("GET", rf"{_REPO}/commits/(?P<ref>.+)", commit_endpoints.get_commit),
        ("GET", rf"{_REPO}/compare/(?P<range>.+)", commit_endpoints.compare_commits),
        ("GET", rf"{_REPO}/git/trees/(?P<tree>.+)", git_endpoints.get_tree),
        ("GET", rf"{_REPO}/git/blobs/(?P<sha>[^/]+)", git_endpoints.get_blob),
    ),
    *_routes(
        {"contents": "write"},
        ("POST", rf"{_REPO}/branches/(?P<branch>[^/]+)/rename", branch_endpoints.rename_branch),
        ("POST", rf"{_REPO}/git/refs", branch_endpoints.create_ref),
        ("DELETE", rf"{_REPO}/git/refs/(?P<ref>.+)", branch_endpoints.delete_ref),
        ("PUT", rf"{_REPO}/contents/(?P<path>.+)", content_endpoints.put_contents),
        ("DELETE", rf"{_REPO}/contents/(?P<path>.+)", content_endpoints.delete_contents),
    ),
    *_routes(
        {"administration": "read"},
        ("GET", rf"{_REPO}/keys", deploy_key_endpoints.list_deploy_keys),
        ("GET", rf"{_REPO}/keys/(?P<key>[0-9]+)", deploy_key_endpoints.get_deploy_key),
    ),
    *_routes(
        {"administration": "write"},
        ("POST", r"/user/repos", repository_endpoints.create_repository),
        ("POST", r"/orgs/(?P<owner>[^/]+)/repos", repository_endpoints.create_repository),
        ("PATCH", _REPO, repository_endpoints.edit_repository),
        ("DELETE", _REPO, repository_endpoints.delete_repository),
        ("PUT", rf"{_REPO}/topics", repository_endpoints.replace_topics),
        ("POST", rf"{_REPO}/keys", deploy_key_endpoints.create_deploy_key),
        ("DELETE", rf"{_REPO}/keys/(?P<key>[0-9]+)", deploy_key_endpoints.delete_deploy_key),
    ),
    *_routes(
        {"members": "read"},
        ("GET", r"/orgs/(?P<owner>[^/]+)/teams/(?P<team>[^/]+)", team_endpoints.get_team),
    ),
    *_routes(
        {"members": "write"},
        ("POST", r"/orgs/(?P<owner>[^/]+)/teams", team_endpoints.create_team),
    ),
    *_routes(
        {"members": "read", "metadata": "read"},
        ("GET", _TEAM_REPO, team_endpoints.get_team_repository),
    ),
    *_routes(
        {"members": "read", "metadata": "read", "administration": "write"},
        ("PUT", _TEAM_REPO, team_endpoints.put_team_repository),
        ("DELETE", _TEAM_REPO, team_endpoints.delete_team_repository),
    ),
)


def find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the route of a call and the named parts of its path; refuse others with 404."""
    for route in ROUTES:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, {
                name: unquote(text, errors="surrogateescape").strip("/")
                for name, text in match.groupdict().items()
            }
    raise RequestError(404, "Not Found")
