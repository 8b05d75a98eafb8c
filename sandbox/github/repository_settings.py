"""Settings of a repository, in a file beside HEAD and config in the bare repository.

Git ignores a file that it does not know. The file moves with the repository when it is renamed,
and goes with it when it is deleted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.internet.web import RequestError

SETTINGS_FILE = "github.json"
DEFAULT_SETTINGS: Mapping[str, Any] = {
    "description": "",
    "homepage": "",
    "private": True,
    "visibility": "private",
    "has_downloads": False,
    "has_issues": False,
    "has_discussions": False,
    "has_projects": False,
    "has_wiki": False,
    "is_template": False,
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "allow_forking": False,
    "delete_branch_on_merge": False,
    "merge_commit_title": "MERGE_MESSAGE",
    "merge_commit_message": "PR_TITLE",
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "web_commit_signoff_required": False,
    "archived": False,
    "topics": [],
}


def read(directory: Path) -> dict[str, Any]:
    """Return the settings and the `id` of the repository in `directory`."""
    try:
        stored = json.loads((directory / SETTINGS_FILE).read_text())
    except FileNotFoundError:
        raise RequestError(404, "Not Found") from None
    return {**DEFAULT_SETTINGS, **stored}


def save(directory: Path, settings: Mapping[str, Any]) -> None:
    """Store the settings that GitHub knows, and ignore all others, as GitHub does."""
    known = {key: settings[key] for key in ("id", *DEFAULT_SETTINGS) if key in settings}
    fresh = directory / f"{SETTINGS_FILE}.{threading.get_ident()}"
    fresh.write_text(json.dumps(known, indent=1, sort_keys=True))
    fresh.replace(directory / SETTINGS_FILE)


def from_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a request's body. A client gives `private`, `visibility` or both."""
    given = {key: value for key, value in body.items() if value is not None and key != "id"}
    if "visibility" in given:
        given["private"] = given["visibility"] != "public"
    elif "private" in given:
        given["visibility"] = "private" if given["private"] else "public"
    return given
