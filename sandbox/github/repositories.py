"""Repositories that follow GitHub's rules and refuse a change in GitHub's words."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.github import repository_settings
from sandbox.github.bare_repository import NO_OBJECT, BareRepository
from sandbox.github.git_objects import Change, Commit, Entry
from sandbox.github.validation_error import field_error, validation_failed
from sandbox.internet.web import RequestError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file that a caller wants to change.

    No branch means the default branch. `sha` is the blob that the caller expects at the path.
    """

    path: str
    branch: str | None = None
    sha: str | None = None


class WrittenFile(NamedTuple):
    """A file after its commit; `created` is True when it did not exist before."""

    created: bool
    entry: Entry
    commit: Commit


@dataclass(frozen=True)
class Repository:
    """One repository. `git` reads it; the methods here change it within GitHub's rules."""

    owner: str
    name: str
    git: BareRepository
    lock: threading.Lock = field(repr=False, compare=False)

    @property
    def directory(self) -> Path:
        """Return the folder of the bare repository."""
        return self.git.directory

    @property
    def full_name(self) -> str:
        """Return `OWNER/NAME`."""
        return f"{self.owner}/{self.name}"

    def settings(self) -> dict[str, Any]:
        """Return the settings that a PATCH can change, and the `id`."""
        return repository_settings.read(self.directory)

    def save(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings."""
        repository_settings.save(self.directory, settings)

    def set_default_branch(self, branch: str) -> None:
        """Point HEAD at an existing branch."""
        if self.git.ref(f"heads/{branch}") is None:
            raise validation_failed("default_branch", "invalid")
        self.git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def create_ref(self, name: str, sha: str) -> None:
        """Create a ref below `refs/`."""
        if not self.git.has_commit(sha):
            raise RequestError(422, "Object does not exist")
        if self.git.attempt("check-ref-format", f"refs/{name}") is None:
            raise RequestError(422, f"refs/{name} is not a valid ref name.")
        taken = self.git.ref(name) is not None
        if taken or self.git.move_ref(name, sha, NO_OBJECT) is not None:
            raise RequestError(422, "Reference already exists")

    def delete_ref(self, name: str) -> None:
        """Remove a ref below `refs/`."""
        if self.git.ref(name) is None:
            raise RequestError(422, "Reference does not exist")
        self.git.run("update-ref", "-d", f"refs/{name}")

    def rename_branch(self, old: str, new: str) -> None:
        """Rename a branch; a default branch stays the default branch."""
        if self.git.ref(f"heads/{old}") is None:
            raise RequestError(404, "Branch not found")
        if self.git.ref(f"heads/{new}") is not None:
            raise RequestError(422, "Reference already exists")
        self.git.run("branch", "-m", "--", old, new)

    def put(self, target: Target, content: bytes, change: Change) -> WrittenFile:
        """Commit a file.

        As on GitHub, `target.sha` is required for a file that exists, and ignored for a new one.
        """
        with self.lock:
            branch, head = self._branch_and_head(target.branch)
            before = self.git.entry(head, target.path) if head else None
            if before is not None and not target.sha:
                raise _sha_missing()
            if before is not None and (before.sha != target.sha or before.kind != "blob"):
                raise _sha_differs(target)
            blob = self.git.write_blob(content)
            mode = before.mode if before is not None else "100644"
            tree = self._tree(head, target.path, (mode, blob))
            commit = self._commit(branch, head, tree, change)
            entry = Entry(mode=mode, kind="blob", sha=blob, size=len(content), path=target.path)
            return WrittenFile(before is None, entry, commit)

    def delete(self, target: Target, change: Change) -> Commit:
        """Commit the removal of a file, whose blob must be `target.sha`."""
        with self.lock:
            branch, head = self._branch_and_head(target.branch)
            before = self.git.entry(head, target.path) if head else None
            if before is None or before.kind != "blob":
                raise RequestError(404, "Not Found")
            if not target.sha:
                raise _sha_missing()
            if before.sha != target.sha:
                raise _sha_differs(target)
            return self._commit(branch, head, self._tree(head, target.path, None), change)

    def _branch_and_head(self, branch: str | None) -> tuple[str, str | None]:
        """Return a branch to commit to and its head, which is None in an empty repository."""
        default = self.git.default_branch()
        branch = branch or default
        head = self.git.ref(f"heads/{branch}")
        if head is None and (
            branch != default or self.git.run("for-each-ref", "--count=1", "refs/heads")
        ):
            raise RequestError(404, f"Branch {branch} not found")
        return branch, head

    def _tree(self, head: str | None, path: str, file: tuple[str, str] | None) -> str:
        tree = self.git.write_tree(head, path, file)
        if tree is None:
            raise RequestError(422, "path contains a malformed path component")
        return tree

    def _commit(self, branch: str, head: str | None, tree: str, change: Change) -> Commit:
        """Commit a tree on top of `head` and move the branch, which must still be at `head`."""
        commit = self.git.commit_tree(tree, head, change)
        if commit is None:
            raise RequestError(422, "Invalid request.\n\nThe author or committer is malformed.")
        actual = self.git.move_ref(f"heads/{branch}", commit, head or NO_OBJECT)
        if actual is not None:
            raise RequestError(409, f"refs/heads/{branch} is at {actual} but expected {head}")
        return self.git.commits(commit)[0]


class Repositories:
    """All repositories, at `DIRECTORY/OWNER/NAME.git`. Only one process at a time may write."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        # A killed process leaves Git's lock files behind, and Git never removes them.
        for repository in directory.glob("*/*.git"):
            for lock in (*repository.glob("*.lock"), *repository.glob("refs/**/*.lock")):
                lock.unlink(missing_ok=True)
        for unfinished in (*directory.glob(".new-*"), *directory.glob(".old-*")):
            shutil.rmtree(unfinished, ignore_errors=True)

    def get(self, owner: str, name: str) -> Repository:
        """Return a repository; refuse with 404 when there is none."""
        directory = self._directory(owner, name)
        if not (directory / repository_settings.SETTINGS_FILE).is_file():
            raise RequestError(404, "Not Found")
        return self._repository(owner, name, directory)

    def all(self) -> Iterator[Repository]:
        """Yield all repositories."""
        for directory in self.directory.glob("*/*.git"):
            owner, name = directory.parent.name, directory.name.removesuffix(".git")
            yield self._repository(owner, name, directory)

    def create(
        self, owner: str, name: str, settings: Mapping[str, Any], first: Change | None
    ) -> Repository:
        """Create a repository; when `first` is given, its first commit adds a README."""
        if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
            raise _creation_failed("invalid")
        directory = self._directory(owner, name)
        directory.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.directory) as scratch:
            # The repository is complete before it moves to its place, so nobody reads half of it.
            made = self._repository(owner, name, Path(scratch) / "made")
            made.git.initialise()
            made.save({**settings, "id": secrets.randbelow(10**9) + 1})
            if first is not None:
                made.put(Target(path="README.md"), f"# {name}\n".encode(), first)
            with self._lock:
                if directory.exists():
                    raise _creation_failed("custom", "name already exists on this account")
                made.directory.rename(directory)
        return self.get(owner, name)

    def rename(self, repository: Repository, name: str) -> Repository:
        """Give a repository another name."""
        target = self._directory(repository.owner, name)
        with self._lock:
            if not _NAME.fullmatch(name) or target.exists():
                raise validation_failed("name", "custom")
            repository.directory.rename(target)
        return self.get(repository.owner, name)

    def delete(self, repository: Repository) -> None:
        """Remove a repository with everything in it."""
        scratch = tempfile.TemporaryDirectory(prefix=".old-", dir=self.directory)
        with scratch as folder, repository.lock:
            repository.directory.rename(Path(folder) / "old")

    def _directory(self, owner: str, name: str) -> Path:
        return self.directory / owner / f"{name}.git"

    def _repository(self, owner: str, name: str, directory: Path) -> Repository:
        with self._lock:
            lock = self._locks[f"{owner}/{name}"]
        return Repository(owner, name, BareRepository(directory), lock)


def _sha_missing() -> RequestError:
    return RequestError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')


def _sha_differs(target: Target) -> RequestError:
    return RequestError(409, f"{target.path} does not match {target.sha}")


def _creation_failed(code: str, message: str = "") -> RequestError:
    error = field_error("name", code, message)
    return RequestError(422, "Repository creation failed.", [error])
