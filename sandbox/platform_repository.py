"""The platform team's repository in a sandbox: a fork of this checkout, with a working copy.

The pushed files are this checkout's program and shared definitions, byte for byte. The stack files
are this checkout's too, except for the keys that name the outside world: the repository, Flux's
manifests and the kubeconfig are the sandbox's.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fleet import files
from fleet.config import stack_files
from fleet.config.definitions import SHARED_FOLDERS
from sandbox.github.tokens import ANY, Grant
from sandbox.kubernetes.clusters import Clusters
from sandbox.servers import GitHub

OWNER = "platform-team"
NAME = "fleet"
BRANCH = "main"
_PROGRAM = ("__main__.py", "components", "fleet")
# SECURITY.md says which permissions the tokens of a stack need; these have no more.
_UP, _PULL = "up", "pull"
WRITES_THE_TREE = Grant(owner=OWNER, repositories=(NAME,), permissions={"contents": "write"})
MAKES_REPOSITORIES = Grant(
    owner=OWNER,
    repositories=(ANY,),
    permissions={"contents": "write", "administration": "write", "members": "read"},
)
READS_THE_TREE = Grant(owner=OWNER, repositories=(NAME,), permissions={"contents": "read"})
# `pulumi config set --secret` wrote these into a stack file; a new copy of the file keeps them.
_SECRET_KEYS = ("github:token", *stack_files.SECRETS)


@dataclass(frozen=True, kw_only=True)
class PlatformRepository:
    """The platform team's repository and its working copy."""

    folder: Path
    github: GitHub
    clusters: Clusters

    @property
    def url(self) -> str:
        """The URL by which Flux clones it."""
        return self.github.repository_url(OWNER, NAME)

    @property
    def token(self) -> str:
        """The token of `github:token`."""
        return self.github.fine_grained_token(_UP, WRITES_THE_TREE)

    @property
    def pull_token(self) -> str:
        """The token of `fleet:pullToken`."""
        return self.github.fine_grained_token(_PULL, READS_THE_TREE)

    def change_token(self, grant: Grant) -> None:
        """Change the rights of the token of `github:token`, as a person does in the browser."""
        self.github.change_grant(_UP, grant)

    def change_pull_token(self, grant: Grant) -> None:
        """Change the rights of the token of `fleet:pullToken`."""
        self.github.change_grant(_PULL, grant)

    def prepare(self, checkout: Path, manifests: Path) -> None:
        """Copy the checkout's program, definitions and stack files, and push the first two.

        Commits nothing when the branch holds them already.
        """
        if not (self.folder / ".git").is_dir():
            self.github.create_repository(OWNER, NAME)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet", f"--initial-branch={BRANCH}")
            self.git("remote", "add", "origin", self.url)
            exclude = self.folder / ".git" / "info" / "exclude"
            exclude.write_text("/Pulumi*.yaml\n/.venv\n__pycache__/\n")
            # `pulumi install` makes this folder for a user.
            (self.folder / ".venv").symlink_to(sys.prefix)
            # A clone has this setting; with it, `git pull` and `git push` need no arguments.
            upstream = {
                f"branch.{BRANCH}.remote": "origin",
                f"branch.{BRANCH}.merge": f"refs/heads/{BRANCH}",
            }
            for key, value in (self.github.git_settings | upstream).items():
                self.git("config", key, value)
        self.pull()
        for name in (*_PROGRAM, *SHARED_FOLDERS):
            _replace(self.folder / name, checkout / name)
        self.push("Program and shared definitions")
        self._write_project_file(checkout, manifests)
        for name in stack_files.names(checkout):
            self._write_stack_file(checkout, name)

    def add_tenant(self, stack: str, name: str, url: str) -> None:
        """Add a tenant to a stack file of the working copy."""
        file = self.folder / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        tenants = content["config"].setdefault("fleet:tenants", [])
        tenants.append({"name": name, "repository": {"url": url}})
        _write_yaml(file, content)

    def pull(self) -> None:
        """Reset the working copy to the branch as it is on the server."""
        self.fetch()
        if self.git("for-each-ref", f"refs/remotes/origin/{BRANCH}"):
            self.git("reset", "--quiet", "--hard", f"origin/{BRANCH}")

    def push(self, message: str) -> bool:
        """Commit and push all changes of the working copy; return whether there were any."""
        self.git("add", "--all")
        if not self.git("status", "--porcelain"):
            return False
        self.git("commit", "--quiet", f"--message={message}")
        self.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
        return True

    def fetch(self) -> None:
        """Fetch the commits of the branch; the working copy stays as it is."""
        self.git("fetch", "--quiet", "origin")

    def changed(self, before: str, after: str, folders: Sequence[str]) -> bool:
        """Return whether the later commit adds or changes a file in one of these folders.

        A deleted file is no change, because no other file refers to it any more.
        """
        span = [before, after, "--", *folders]
        return bool(self.git("diff", "--name-only", "--no-renames", "--diff-filter=d", *span))

    def head(self) -> str:
        """Return the last commit of the branch on the server, which is not asked for it."""
        ref = f"refs/heads/{BRANCH}"
        return self.github.git_on_server(OWNER, NAME, "rev-parse", ref).strip()

    def git(self, *args: str) -> str:
        """Run git in the working copy and return its output."""
        return self.github.git(self.folder, *args)

    def _write_project_file(self, checkout: Path, manifests: Path) -> None:
        project = yaml.safe_load((checkout / stack_files.PROJECT_FILE).read_text())
        project["config"]["fleet:repository"]["value"] = {
            "owner": OWNER,
            "name": NAME,
            "branch": BRANCH,
            "url": self.url,
            "apiUrl": self.github.url,
            "knownHosts": self.github.known_hosts,
        }
        flux = project["config"]["fleet:flux"]["value"]
        flux["manifests"] = str(manifests)
        # The checksum is of Flux's released file. Ours has the same objects, but not its bytes.
        flux.pop("sha256", None)
        _write_yaml(self.folder / stack_files.PROJECT_FILE, project)

    def _write_stack_file(self, checkout: Path, name: str) -> None:
        file = self.folder / f"Pulumi.{name}.yaml"
        stack = yaml.safe_load((checkout / file.name).read_text())
        stack["config"]["fleet:cluster"] |= {
            "kubeconfig": str(self.clusters.kubeconfig_file),
            "context": self.clusters.cluster(name).context,
        }
        before = yaml.safe_load(file.read_text()) if file.exists() else {"config": {}}
        stack |= {key: before[key] for key in stack_files.ENGINE_KEYS if key in before}
        stack["config"] |= {k: v for k, v in before["config"].items() if k in _SECRET_KEYS}
        _write_yaml(file, stack)


def _write_yaml(file: Path, content: Mapping[str, Any]) -> None:
    files.write(file, yaml.safe_dump(dict(content), sort_keys=False).encode())


def _replace(target: Path, source: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target)
        return
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
