"""Bare Git repositories with GitHub's rules for changing them, by Git's own plumbing."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.internet import smart_http
from sandbox.internet.web import RequestError
from sandbox.sandbox_error import SandboxError

GIT_TIMEOUT = 120.0
NO_OBJECT = "0" * 40
# Beside HEAD and config in the bare repository; Git passes over a file it does not know.
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
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_HEX = re.compile(r"[0-9a-f]{4,40}")
_STATUS = {"A": "added", "M": "modified", "D": "removed", "T": "changed"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a tree: `kind` is blob, tree or commit; `size` is in bytes, 0 for no blob."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who wrote or committed; `date` is ISO 8601, or empty for now."""

    name: str
    email: str
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit; its message has no line break at the end, as GitHub gives it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a caller wants to commit: whose words, and who did it."""

    message: str
    author: Person
    committer: Person


@dataclass(frozen=True)
class Repository:
    """One bare repository. It refuses what GitHub refuses, in its words, by RequestError."""

    owner: str
    name: str
    directory: Path
    lock: threading.Lock = field(repr=False, compare=False)

    def settings(self) -> dict[str, Any]:
        """Return what a PATCH can change, and the `id`."""
        try:
            stored = json.loads((self.directory / SETTINGS_FILE).read_text())
        except FileNotFoundError:
            raise RequestError(404, "Not Found") from None
        return {**DEFAULT_SETTINGS, **stored}

    def save(self, settings: Mapping[str, Any]) -> None:
        """Keep settings; what GitHub would ignore is left out."""
        known = {key: settings[key] for key in ("id", *DEFAULT_SETTINGS) if key in settings}
        fresh = self.directory / f"{SETTINGS_FILE}.{threading.get_ident()}"
        fresh.write_text(json.dumps(known, indent=1, sort_keys=True))
        fresh.replace(self.directory / SETTINGS_FILE)

    def default_branch(self) -> str:
        """Return the branch that HEAD names; it need not exist yet."""
        head = (self.directory / "HEAD").read_text().strip()
        return head.removeprefix("ref: refs/heads/")

    def set_default_branch(self, branch: str) -> None:
        """Point HEAD at an existing branch."""
        if self.ref(f"heads/{branch}") is None:
            raise RequestError(422, "Validation Failed", [problem("default_branch", "invalid")])
        self._git("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def ref(self, name: str) -> str | None:
        """Return the object that a full name below `refs/` points at."""
        found = self._ask("show-ref", "--verify", "--hash", f"refs/{name}")
        return found.decode().strip() if found else None

    def create_ref(self, name: str, sha: str) -> None:
        """Create a ref below `refs/`."""
        if not _HEX.fullmatch(sha) or self._commit_of(sha) != sha:
            raise RequestError(422, "Object does not exist")
        if self._ask("check-ref-format", f"refs/{name}") is None:
            raise RequestError(422, f"refs/{name} is not a valid ref name.")
        if self.ref(name) is not None or self._move(name, sha, NO_OBJECT) is not None:
            raise RequestError(422, "Reference already exists")

    def delete_ref(self, name: str) -> None:
        """Remove a ref below `refs/`."""
        if self.ref(name) is None:
            raise RequestError(422, "Reference does not exist")
        self._git("update-ref", "-d", f"refs/{name}")

    def rename_branch(self, old: str, new: str) -> None:
        """Rename a branch; the default branch stays the default."""
        if self.ref(f"heads/{old}") is None:
            raise RequestError(404, "Branch not found")
        if self.ref(f"heads/{new}") is not None:
            raise RequestError(422, "Reference already exists")
        self._git("branch", "-m", "--", old, new)

    def resolve(self, ref: str | None) -> str | None:
        """Return the commit of a branch, a tag or a SHA; of the default branch for none."""
        name = ref or self.default_branch()
        for full in (f"heads/{name}", f"tags/{name}", name.removeprefix("refs/")):
            if found := self.ref(full):
                return self._commit_of(found)
        return self._commit_of(name) if _HEX.fullmatch(name) else None

    def entry(self, commit: str, path: str) -> Entry | None:
        """Return what is at a path; the empty path is the root."""
        if not path:
            tree = self._git("rev-parse", f"{commit}^{{tree}}").decode().strip()
            return Entry(mode="040000", kind="tree", sha=tree, size=0, path="")
        if any(part in ("", ".", "..") for part in path.split("/")):
            return None
        found = self._entries("ls-tree", "-z", "-l", "--full-tree", commit, "--", path)
        return next((entry for entry in found if entry.path == path), None)

    def children(self, tree: Entry) -> list[Entry]:
        """Return what is directly in a folder."""
        prefix = f"{tree.path}/" if tree.path else ""
        return [
            Entry(**{**vars(entry), "path": prefix + entry.path})
            for entry in self._entries("ls-tree", "-z", "-l", "--full-tree", tree.sha)
        ]

    def blob(self, sha: str) -> bytes:
        """Return a file's bytes."""
        return self._git("cat-file", "blob", sha)

    def commits(self, start: str, *, path: str = "", skip: int = 0, most: int = 1) -> list[Commit]:
        """Return commits from `start` backwards, those that touch a path when one is given."""
        fields = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00"
        limits = [f"--skip={skip}", f"--max-count={most}"]
        only = ["--", path] if path else []
        out = self._git("log", f"--format=tformat:{fields}", *limits, start, *only)
        words = out.decode(errors="replace").split("\0")
        return [_commit_from(words[at : at + 10]) for at in range(0, len(words) - 1, 10)]

    def changed_files(self, commit: str) -> list[tuple[str, str, str]]:
        """Return (path, status in GitHub's words, blob) of what a commit changed."""
        out = self._git(
            "diff-tree", "-r", "-z", "--root", "--no-commit-id", "-m", "--first-parent",
            "--no-renames", "--raw", commit,
        )  # fmt: skip
        words = out.decode(errors="surrogateescape").split("\0")
        changes = [(words[at].split(), words[at + 1]) for at in range(0, len(words) - 1, 2)]
        return [
            (path, _STATUS.get(raw[4], "changed"), raw[2] if raw[4] == "D" else raw[3])
            for raw, path in changes
        ]

    def put(
        self, path: str, content: bytes, branch: str | None, sha: str | None, change: Change
    ) -> tuple[bool, Entry, Commit]:
        """Commit a file; say whether it is new, what it is now, and the commit.

        `sha` is the blob that the caller believes is there: it must be given for a file that
        exists, and is ignored for one that does not, as on GitHub.
        """
        with self.lock:
            branch, head = self._writable(branch)
            before = self.entry(head, path) if head else None
            if before is not None and not sha:
                raise RequestError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
            if before is not None and (before.sha != sha or before.kind != "blob"):
                raise RequestError(409, f"{path} does not match {sha}")
            blob = self._git("hash-object", "-w", "--stdin", stdin=content).decode().strip()
            mode = before.mode if before is not None else "100644"
            commit = self._commit(branch, head, (mode, blob), path, change)
            entry = Entry(mode=mode, kind="blob", sha=blob, size=len(content), path=path)
            return before is None, entry, commit

    def delete(self, path: str, branch: str | None, sha: str | None, change: Change) -> Commit:
        """Commit the removal of a file, whose blob must be `sha`."""
        with self.lock:
            branch, head = self._writable(branch)
            before = self.entry(head, path) if head else None
            if before is None or before.kind != "blob":
                raise RequestError(404, "Not Found")
            if not sha:
                raise RequestError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
            if before.sha != sha:
                raise RequestError(409, f"{path} does not match {sha}")
            return self._commit(branch, head, None, path, change)

    def _writable(self, branch: str | None) -> tuple[str, str | None]:
        """Return a branch to commit to and its head: none for the first commit of all."""
        branch = branch or self.default_branch()
        head = self.ref(f"heads/{branch}")
        if head is None and (
            branch != self.default_branch() or self._git("for-each-ref", "--count=1", "refs/heads")
        ):
            raise RequestError(404, f"Branch {branch} not found")
        return branch, head

    def _commit(
        self,
        branch: str,
        head: str | None,
        file: tuple[str, str] | None,
        path: str,
        change: Change,
    ) -> Commit:
        """Commit `head` with the file (mode and blob) at the path, or without it; move the branch.

        A path that goes through a file is refused.
        """
        with tempfile.TemporaryDirectory(prefix="index-") as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            if head is not None:
                self._git("read-tree", head, extra=index)
            if file is not None:
                facts = ",".join((*file, path))
                done = self._ask("update-index", "--add", "--cacheinfo", facts, extra=index)
            else:
                line = f"0 {NO_OBJECT}\t{path}\0".encode(errors="surrogateescape")
                done = self._ask("update-index", "-z", "--index-info", stdin=line, extra=index)
            if done is None:
                raise RequestError(422, "path contains a malformed path component")
            tree = self._git("write-tree", extra=index).decode().strip()
        people = _identity("AUTHOR", change.author) | _identity("COMMITTER", change.committer)
        parents = ("-p", head) if head is not None else ()
        made = self._ask("commit-tree", tree, *parents, stdin=change.message.encode(), extra=people)
        if made is None:
            raise RequestError(422, "Invalid request.\n\nThe author or committer is malformed.")
        commit = made.decode().strip()
        if (actual := self._move(f"heads/{branch}", commit, head or NO_OBJECT)) is not None:
            raise RequestError(409, f"refs/heads/{branch} is at {actual} but expected {head}")
        return self.commits(commit)[0]

    def _move(self, name: str, new: str, old: str) -> str | None:
        """Move a ref if it still is where it was; return where it is when it is not."""
        if self._ask("update-ref", f"refs/{name}", new, old) is not None:
            return None
        actual = self.ref(name)
        if actual == (None if old == NO_OBJECT else old):
            raise SandboxError(f"{self.owner}/{self.name}: refs/{name} cannot be moved")
        return actual or NO_OBJECT

    def _commit_of(self, sha: str) -> str | None:
        found = self._ask("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}")
        return found.decode().strip() if found else None

    def _entries(self, *args: str) -> list[Entry]:
        entries = []
        for line in self._git(*args).decode(errors="surrogateescape").split("\0")[:-1]:
            facts, path = line.split("\t", 1)
            mode, kind, sha, size = facts.split()
            length = int(size) if size.isdecimal() else 0
            entries.append(Entry(mode=mode, kind=kind, sha=sha, size=length, path=path))
        return entries

    def _git(
        self, *args: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> bytes:
        """Run Git; raise SandboxError when it fails."""
        done = _run(args, self.directory, stdin, extra)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise SandboxError(f"git {args[0]}: exit {done.returncode}: {' '.join(said)}")
        return done.stdout

    def _ask(
        self, *args: str, stdin: bytes | None = None, extra: Mapping[str, str] | None = None
    ) -> bytes | None:
        """Run Git; give None when it fails."""
        done = _run(args, self.directory, stdin, extra)
        return done.stdout if done.returncode == 0 else None


class Repositories:
    """All repositories, at `DIRECTORY/OWNER/NAME.git`. One process at a time may write there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        # A process that was killed leaves locks that nobody would ever release.
        for repository in directory.glob("*/*.git"):
            for lock in (*repository.glob("*.lock"), *repository.glob("refs/**/*.lock")):
                lock.unlink(missing_ok=True)
        for unfinished in (*directory.glob(".new-*"), *directory.glob(".old-*")):
            shutil.rmtree(unfinished, ignore_errors=True)

    def get(self, owner: str, name: str) -> Repository:
        """Return a repository; refuse with 404 when there is none."""
        directory = self._directory(owner, name)
        if not (directory / SETTINGS_FILE).is_file():
            raise RequestError(404, "Not Found")
        return Repository(owner, name, directory, self._lock_of(owner, name))

    def all(self) -> Iterator[Repository]:
        """Give all repositories."""
        for directory in self.directory.glob("*/*.git"):
            owner, name = directory.parent.name, directory.name.removesuffix(".git")
            yield Repository(owner, name, directory, self._lock_of(owner, name))

    def create(
        self, owner: str, name: str, settings: Mapping[str, Any], first: Change | None
    ) -> Repository:
        """Create a repository, with a README in a first commit when `first` is given."""
        if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
            raise RequestError(422, "Repository creation failed.", [problem("name", "invalid")])
        directory = self._directory(owner, name)
        directory.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.directory) as scratch:
            # Made whole and then put in its place: nobody ever sees half a repository.
            made = Repository(owner, name, Path(scratch) / "made", self._lock_of(owner, name))
            made._git("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
            made.save({**settings, "id": secrets.randbelow(10**9) + 1})
            if first is not None:
                made.put("README.md", f"# {name}\n".encode(), None, None, first)
            with self._lock:
                if directory.exists():
                    taken = problem("name", "custom", "name already exists on this account")
                    raise RequestError(422, "Repository creation failed.", [taken])
                made.directory.rename(directory)
        return self.get(owner, name)

    def rename(self, repository: Repository, name: str) -> Repository:
        """Give a repository another name."""
        target = self._directory(repository.owner, name)
        with self._lock:
            if not _NAME.fullmatch(name) or target.exists():
                raise RequestError(422, "Validation Failed", [problem("name", "custom")])
            repository.directory.rename(target)
        return self.get(repository.owner, name)

    def delete(self, repository: Repository) -> None:
        """Remove a repository and all that is in it."""
        scratch = tempfile.TemporaryDirectory(prefix=".old-", dir=self.directory)
        with scratch as folder, repository.lock:
            repository.directory.rename(Path(folder) / "old")

    def _directory(self, owner: str, name: str) -> Path:
        return self.directory / owner / f"{name}.git"

    def _lock_of(self, owner: str, name: str) -> threading.Lock:
        with self._lock:
            return self._locks[f"{owner}/{name}"]


def _commit_from(fields: Sequence[str]) -> Commit:
    sha, tree, parents, name, email, date, by, by_email, on, message = fields
    return Commit(
        sha=sha.strip(),
        tree=tree,
        parents=tuple(parents.split()),
        author=Person(name=name, email=email, date=date),
        committer=Person(name=by, email=by_email, date=on),
        message=message.rstrip("\n"),
    )


def _identity(role: str, person: Person) -> dict[str, str]:
    date = {f"GIT_{role}_DATE": person.date} if person.date else {}
    return {f"GIT_{role}_NAME": person.name, f"GIT_{role}_EMAIL": person.email, **date}


def problem(
    name: str, code: str, message: str = "", *, resource: str = "Repository"
) -> dict[str, str]:
    """Return an entry of an error's `errors`, about a field of a resource."""
    about = {"resource": resource, "field": name, "code": code}
    return {**about, "message": message} if message else about


def _run(
    args: Sequence[str], directory: Path, stdin: bytes | None, extra: Mapping[str, str] | None
) -> subprocess.CompletedProcess[bytes]:
    """Run Git to its end, in bytes: a file's content is not ours to decode."""
    return subprocess.run(
        ["git", *args],
        check=False,
        capture_output=True,
        input=stdin or b"",
        timeout=GIT_TIMEOUT,
        env=smart_http.environment({"GIT_DIR": str(directory), **(extra or {})}),
    )
