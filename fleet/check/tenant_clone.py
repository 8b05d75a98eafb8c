"""The clone of a tenant's repository, and a copy of it with only the files that Flux fetches."""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from fleet.check.findings import Finding
from fleet.errors import FleetError

# Flux fetches none of these from any repository. It leaves out more files, but no build reads them.
_NOT_FETCHED = (
    ".git", ".gitignore", ".gitmodules", ".gitattributes", ".github", ".circleci", ".travis.yml",
    ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-services.yml",
    "codeship-steps.yml", ".goreleaser.yml", ".goreleaser.brew.yml", ".sops.yaml", ".flux.yaml",
    "*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ClonedFolder:
    """A folder of a tenant's repository that Flux builds.

    `clone` is the clone as it is, `copy` the resolved path of its copy, `path` the folder in both.
    """

    clone: Path
    copy: Path
    path: str

    @property
    def folder(self) -> Path:
        """The folder in the copy."""
        return self.copy / self.path

    @property
    def file(self) -> str:
        """The name of the clone and the folder in it, as findings show them."""
        return (PurePath(self.clone.name) / self.path).as_posix()

    def finding(self, name: str, problem: str) -> Finding:
        """Return a finding about an object or a reference in this folder."""
        return Finding(file=self.file, object=name, problem=problem)

    def absence(self, path: Path) -> str:
        """Return the reason why a path of the repository is not in the copy."""
        steps = [path, *path.parents]
        if any(os.path.islink(self.clone / step) for step in steps if step.name):  # noqa: PTH114 - accepts any name
            return "is a symbolic link, which Flux leaves out; commit what it points to"
        return "is not among the files that Flux fetches; add it"


def copy_clone(clone: Path, copy: Path) -> None:
    """Copy the files of a clone that Flux fetches, committed or not.

    Flux fetches no symbolic links and no submodules. A `.sourceignore` is not taken into account.
    Raises FleetError for a file that cannot be read.
    """

    def not_fetched(folder: str, names: list[str]) -> Iterable[str]:
        if ".git" in names and Path(folder) != clone:
            return names
        special = {name for name in names if not _is_plain(Path(folder, name))}
        return special.union(*(fnmatch.filter(names, pattern) for pattern in _NOT_FETCHED))

    try:
        shutil.copytree(clone, copy, ignore=not_fetched)
    except (OSError, RecursionError) as error:
        # shutil collects the errors of all files; the first one is enough.
        reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        raise FleetError(f"{clone}: cannot be read: {reason}") from None


def _is_plain(path: Path) -> bool:
    return not path.is_symlink() and (path.is_dir() or path.is_file())
