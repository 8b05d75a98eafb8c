"""Teams' own repositories in the sandbox: each a working copy, pushed to the GitHub stand-in.

A team knows its repository and its namespace, and nothing of the platform.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from pathlib import Path

from fleet.errors import CommandError
from fleet.process import run
from sandbox import servers

OWNER = "teams"
BRANCH = "main"


def repository(team: str) -> str:
    """Return the name of a team's repository."""
    return f"{team}-apps"


def url(state: Path, team: str) -> str:
    """Return the URL by which Flux clones a team's repository."""
    return servers.repository_url(state, OWNER, repository(team))


def token(state: Path, team: str) -> str:
    """Return the token that may clone this team's repository and nothing else."""
    return servers.repository_token(state, OWNER, repository(team))


def folder(state: Path, team: str) -> Path:
    """Return the team's working copy."""
    return state / "teams" / team


def create(state: Path, team: str) -> None:
    """Make a team's empty private repository and its working copy."""
    servers.create_repository(state, OWNER, repository(team))
    copy = folder(state, team)
    copy.mkdir(parents=True)
    _git(state, team, "init", "--quiet", f"--initial-branch={BRANCH}")
    _git(state, team, "remote", "add", "origin", url(state, team))


def delete(state: Path, team: str) -> None:
    """Remove a team's repository and its working copy."""
    servers.delete_repository(state, OWNER, repository(team))
    shutil.rmtree(folder(state, team))


def write(state: Path, team: str, files: Mapping[str, str | bytes | Path]) -> None:
    """Make these files, and no others, the working copy's. A Path becomes a symbolic link."""
    copy = folder(state, team)
    for old in copy.iterdir():
        if old.name != ".git":
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name, content in files.items():
        file = copy / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)


def push(state: Path, team: str, message: str) -> str:
    """Commit and push what the working copy holds; return the commit."""
    _git(state, team, "add", "--all")
    _git(state, team, "commit", "--quiet", "--allow-empty", f"--message={message}")
    _git(state, team, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    return _git(state, team, "rev-parse", "HEAD").strip()


def can_clone(state: Path, repository_url: str, credential: str) -> bool:
    """Say whether a token opens a repository."""
    env = {**servers.git_environment(state), "GIT_CONFIG_GLOBAL": "/dev/null"}
    # In the environment: command lines are readable by everybody.
    basic = base64.b64encode(f"git:{credential}".encode()).decode()
    env |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
    try:
        run(["git", "ls-remote", repository_url], timeout=60, env=env)
    except CommandError:
        return False
    return True


def _git(state: Path, team: str, *args: str) -> str:
    return run(
        ["git", *args],
        timeout=120,
        cwd=folder(state, team),
        env=servers.git_environment(state),
    )
