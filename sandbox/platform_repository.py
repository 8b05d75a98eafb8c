"""The platform team's repository in the sandbox: a working copy with decisions and definitions.

What is pushed are this checkout's shared definitions, byte for byte. The stack files beside them
are this checkout's too; only what names the world outside (repository, Flux's manifests,
kubeconfig) is the sandbox's.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.config import stack_files
from fleet.config.definitions import SHARED_FOLDERS
from fleet.process import run
from sandbox import servers
from sandbox.host import files
from sandbox.kubernetes import clusters

OWNER = "platform-team"
NAME = "fleet"
BRANCH = "main"
# What `pulumi config set --secret` wrote into a stack file; a fresh copy of it keeps them.
_KEPT = ("github:token", *stack_files.SECRETS)


def folder(state: Path) -> Path:
    """Return the working copy."""
    return state / "platform"


def url(state: Path) -> str:
    """Return the URL by which Flux clones it."""
    return servers.repository_url(state, OWNER, NAME)


def prepare(state: Path, checkout: Path, manifests: Path) -> None:
    """Bring the working copy to the checkout's definitions and decisions, and push definitions.

    Does nothing, and commits nothing, where all is as it should be already.
    """
    copy = folder(state)
    if not (copy / ".git").is_dir():
        servers.create_repository(state, OWNER, NAME)
        copy.mkdir(parents=True, exist_ok=True)
        git(state, "init", "--quiet", f"--initial-branch={BRANCH}")
        git(state, "remote", "add", "origin", url(state))
        exclude = copy / ".git" / "info" / "exclude"
        exclude.write_text("/Pulumi*.yaml\n/.venv\n")
    pull(state)
    for name in SHARED_FOLDERS:
        shutil.rmtree(copy / name, ignore_errors=True)
        shutil.copytree(checkout / name, copy / name)
    push(state, "Shared definitions")
    _write_decisions(state, checkout, manifests)


def pull(state: Path) -> None:
    """Bring the working copy to what the branch holds now."""
    fetch(state)
    if git(state, "ls-remote", "--heads", "origin", BRANCH):
        git(state, "reset", "--quiet", "--hard", f"origin/{BRANCH}")


def push(state: Path, message: str) -> bool:
    """Commit and push what changed in the working copy; say whether anything had."""
    git(state, "add", "--all")
    if not git(state, "status", "--porcelain"):
        return False
    git(state, "commit", "--quiet", f"--message={message}")
    git(state, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    return True


def fetch(state: Path) -> None:
    """Get the commits that the branch has now; the working copy stays as it is."""
    git(state, "fetch", "--quiet", "origin")


@functools.cache
def changed(state: Path, before: str, after: str, folders: tuple[str, ...]) -> bool:
    """Say whether any file in these folders is another one, or new, in the later commit.

    A file that is gone is no change: nothing refers to it any more when it goes.
    """
    span = [before, after, "--", *folders]
    return bool(git(state, "diff", "--name-only", "--no-renames", "--diff-filter=d", *span))


def head(state: Path) -> str:
    """Return the commit that the branch is at now, on the server."""
    return git(state, "ls-remote", "origin", f"refs/heads/{BRANCH}").split()[0]


def git(state: Path, *args: str) -> str:
    """Run git in the working copy, as the platform team, and return its output."""
    return run(
        ["git", *args],
        timeout=120,
        cwd=folder(state),
        env=servers.git_environment(state),
    )


def _write_decisions(state: Path, checkout: Path, manifests: Path) -> None:
    copy = folder(state)
    project = yaml.safe_load((checkout / stack_files.PROJECT_FILE).read_text())
    project["config"]["fleet:repository"]["value"] = {
        "owner": OWNER,
        "name": NAME,
        "branch": BRANCH,
        "url": url(state),
        "apiUrl": servers.github_url(state),
        "knownHosts": servers.known_hosts(state),
    }
    flux = project["config"]["fleet:flux"]["value"]
    flux["manifests"] = str(manifests)
    flux.pop("sha256", None)  # of the release's, which these were built to equal in content only
    _write(copy / stack_files.PROJECT_FILE, project)
    for name in stack_files.names(checkout):
        file = copy / f"Pulumi.{name}.yaml"
        stack = yaml.safe_load((checkout / file.name).read_text())
        stack["config"]["fleet:cluster"] |= {
            "kubeconfig": str(clusters.kubeconfig_file(state)),
            "context": clusters.context(name),
        }
        before = yaml.safe_load(file.read_text()) if file.exists() else {"config": {}}
        stack |= {key: before[key] for key in stack_files.ENGINE_KEYS if key in before}
        stack["config"] |= {k: v for k, v in before["config"].items() if k in _KEPT}
        _write(file, stack)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    files.write(file, yaml.safe_dump(dict(content), sort_keys=False).encode())
