"""Reads of one repository by GitHub's REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fleet import https
from fleet.config.models import Repository
from fleet.errors import FleetError

Document = Mapping[str, Any]
_SERVER_PATH = "api/v3/"


@dataclass(frozen=True, kw_only=True)
class GitHubApi:
    """The API of one repository, read with a token."""

    repository: Repository
    token: str = field(repr=False)

    def get(self, *path: str, **query: str | int) -> Document:
        """Return the document at a path below the repository. Raises FleetError.

        Raises https.StatusError for an answer that says that something does not exist.
        """
        repository = self.repository
        parts = ("repos", repository.owner, repository.name, *path)
        url = root(repository.api_url) + "/".join(quote(part, safe="") for part in parts)
        url += f"?{urlencode(query)}" if query else ""
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
        }
        try:
            found: Document = json.loads(https.get(url, headers))
        except https.StatusError as error:
            if error.status in (401, 403):
                raise FleetError(
                    f"{url}: github:token is refused with HTTP status {error.status}; set one "
                    "that may read and write the repository's contents"
                ) from None
            raise
        except ValueError:
            raise FleetError(
                f"{url}: the answer is not JSON; correct fleet:repository.apiUrl"
            ) from None
        return found


def root(api_url: str) -> str:
    """Return the URL below which the API's paths are, as the GitHub provider finds it."""
    parts = urlsplit(api_url)
    host, path = parts.netloc, parts.path.rstrip("/") + "/"
    if host in ("github.com", "api.github.com"):
        return "https://api.github.com/"
    if host.endswith(".ghe.com"):
        return f"https://api.{host.removeprefix('api.')}/"
    return f"{parts.scheme}://{host}{path.removesuffix(_SERVER_PATH)}{_SERVER_PATH}"
