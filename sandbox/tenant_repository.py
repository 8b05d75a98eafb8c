"""A tenant's own repository in a sandbox, with a working copy from which the tenant pushes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.github.tokens import Grant
from sandbox.servers import GitHub

OWNER = "tenants"
BRANCH = "main"


@dataclass(frozen=True, kw_only=True)
class TenantRepository:
    """The repository of one tenant and its working copy."""

    tenant: str
    clones: Path
    github: GitHub

    @property
    def name(self) -> str:
        """Its name on GitHub."""
        return f"{self.tenant}-apps"

    @property
    def folder(self) -> Path:
        """Its working copy, in a folder that is named as `git clone` does."""
        return self.clones / self.name

    @property
    def url(self) -> str:
        """The URL by which Flux clones it."""
        return self.github.repository_url(OWNER, self.name)

    @property
    def token(self) -> str:
        """The token that may only clone this repository."""
        grant = Grant(owner=OWNER, repositories=(self.name,), permissions={"contents": "read"})
        return self.github.fine_grained_token(f"{OWNER}/{self.name}", grant)

    def create(self) -> None:
        """Create the repository, private and empty, and its working copy."""
        self.github.create_repository(OWNER, self.name)
        self.folder.mkdir(parents=True)
        self._git("init", "--quiet", f"--initial-branch={BRANCH}")
        self._git("remote", "add", "origin", self.url)

    def delete(self) -> None:
        """Delete the repository and its working copy."""
        self.github.delete_repository(OWNER, self.name)
        shutil.rmtree(self.folder)

    def write(self, files: Mapping[str, str | bytes | Path]) -> None:
        """Replace all files of the working copy. A Path becomes a symbolic link."""
        for old in self.folder.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        for name, content in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                file.symlink_to(content)
            else:
                file.write_bytes(content.encode() if isinstance(content, str) else content)

    def push(self, message: str) -> str:
        """Commit and push the working copy; return the commit."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", f"--message={message}")
        self._git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *args: str) -> str:
        return self.github.git(self.folder, *args)
