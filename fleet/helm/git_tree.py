"""The files of a public Git repository at one commit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fleet import process
from fleet.errors import FleetError
from fleet.helm import chart_files
from fleet.helm.program import Helm

TIMEOUT = 300
# Nothing of the repository and of the user's settings is run, and only HTTPS is spoken.
_SETTINGS = (
    "protocol.allow=never", "protocol.https.allow=always", "credential.helper=",
    f"core.hooksPath={os.devnull}", "core.autocrlf=false", "core.symlinks=false",
    "submodule.recurse=false",
)  # fmt: skip


def fetch(url: str, version: str, helm: Helm | None) -> tuple[str, bytes]:
    """Return the commit that a reference of a repository names, and its files as a tar.

    `version` is the key and the value of the reference: `tag v1.0.0`. Raises FleetError.
    """
    key, _, value = version.partition(" ")
    with tempfile.TemporaryDirectory(prefix="fleet-git-") as name:
        folder = Path(name)
        _git(folder, "init", "--quiet", "--template=")
        if key == "semver":
            value = _tag_in_range(folder, url, value, helm)
        reference = {
            "tag": f"refs/tags/{value}",
            "semver": f"refs/tags/{value}",
            "branch": f"refs/heads/{value}",
        }.get(key, value)
        _git(folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, reference)
        commit = _git(folder, "rev-parse", "FETCH_HEAD^{commit}").strip()
        _git(folder, "checkout", "--quiet", commit)
        names = sorted(path.name for path in folder.iterdir() if path.name != ".git")
        return commit, chart_files.packed(chart_files.folder_tree(folder, names))


def _tag_in_range(folder: Path, url: str, wanted: str, helm: Helm | None) -> str:
    listed = _git(folder, "ls-remote", "--tags", "--refs", "--", url).split("\n")
    tags = [line.rpartition("refs/tags/")[2] for line in listed if line]
    if helm is None:
        raise FleetError(f"{url}: helm finds the versions of a range; put it on PATH")
    found = helm.latest(wanted, tags)
    if found is None:
        raise FleetError(f"{url}: has no tag in the range {wanted}; correct the range")
    return found


def _git(folder: Path, *args: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }
    if authorities := os.environ.get("SSL_CERT_FILE"):
        environment["GIT_SSL_CAINFO"] = authorities
    settings = [option for setting in _SETTINGS for option in ("-c", setting)]
    return process.run(["git", *settings, *args], timeout=TIMEOUT, cwd=folder, env=environment)
