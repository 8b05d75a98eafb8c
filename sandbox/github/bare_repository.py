"""A bare Git repository, read and changed with Git's plumbing commands, without GitHub's rules."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.github.git_objects import (
    COMMIT_FORMAT,
    Change,
    Commit,
    Entry,
    commits_in,
    entries_in,
)
from sandbox.internet import smart_http
from sandbox.sandbox_error import SandboxError

GIT_TIMEOUT = 120.0
# Git writes this in place of the object of a ref that does not exist.
NO_OBJECT = "0" * 40
_HEX = re.compile(r"[0-9a-f]{4,40}")
_STATUS = {"A": "added", "M": "modified", "D": "removed", "T": "changed"}


@dataclass(frozen=True)
class BareRepository:
    """The bare repository in `directory`. Its methods take refs without `refs/` before them."""

    directory: Path

    def run(
        self, *args: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes:
        """Run Git in this repository; raise SandboxError when it fails."""
        done = self._completed(args, stdin, variables)
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise SandboxError(f"git {args[0]}: exit {done.returncode}: {' '.join(reason)}")
        return done.stdout

    def attempt(
        self, *args: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> bytes | None:
        """Run Git in this repository; return None when it fails."""
        done = self._completed(args, stdin, variables)
        return done.stdout if done.returncode == 0 else None

    def initialise(self) -> None:
        """Create the repository, without any commit."""
        self.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main")

    def default_branch(self) -> str:
        """Return the branch that HEAD names; it may not exist yet."""
        head = (self.directory / "HEAD").read_text().strip()
        return head.removeprefix("ref: refs/heads/")

    def ref(self, name: str) -> str | None:
        """Return the object that a ref points at."""
        found = self.attempt("show-ref", "--verify", "--hash", f"refs/{name}")
        return found.decode().strip() if found else None

    def move_ref(self, name: str, new: str, old: str) -> str | None:
        """Move a ref from `old` to `new`; return its real position when it is not at `old`."""
        if self.attempt("update-ref", f"refs/{name}", new, old) is not None:
            return None
        actual = self.ref(name)
        if actual == (None if old == NO_OBJECT else old):
            raise SandboxError(
                f"{self.directory}: Git cannot move refs/{name}; run `git fsck` there"
            )
        return actual or NO_OBJECT

    def commit_of(self, name: str) -> str | None:
        """Return the commit that an object's name leads to."""
        found = self.attempt("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return found.decode().strip() if found else None

    def has_commit(self, sha: str) -> bool:
        """Return True when `sha` is the full name of a commit in this repository."""
        return _HEX.fullmatch(sha) is not None and self.commit_of(sha) == sha

    def resolve(self, ref: str | None) -> str | None:
        """Return the commit of a branch, a tag or a SHA; None stands for the default branch."""
        name = ref or self.default_branch()
        for full in (f"heads/{name}", f"tags/{name}", name.removeprefix("refs/")):
            if found := self.ref(full):
                return self.commit_of(found)
        return self.commit_of(name) if _HEX.fullmatch(name) else None

    def object_kind(self, sha: str) -> str | None:
        """Return the kind of an object: blob, tree, commit or tag; None if there is none."""
        found = self.attempt("cat-file", "-t", sha) if _HEX.fullmatch(sha) else None
        return found.decode().strip() if found else None

    def entries_below(self, tree: str) -> list[Entry]:
        """Return all entries of a tree, with those of its folders."""
        return list(entries_in(self.run("ls-tree", "-z", "-l", "-r", "-t", "--full-tree", tree)))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the last commit that two commits contain, None if they have none in common."""
        found = self.attempt("merge-base", one, other)
        return found.decode().split()[0] if found else None

    def commits_between(self, base: str, head: str) -> list[str]:
        """Return the commits that `head` contains and `base` does not, the oldest first."""
        return self.run("rev-list", "--reverse", f"{base}..{head}").decode().split()

    def entry(self, commit: str, path: str) -> Entry | None:
        """Return the entry at a path; the empty path is the root."""
        if not path:
            tree = self.run("rev-parse", f"{commit}^{{tree}}").decode().strip()
            return Entry(mode="040000", kind="tree", sha=tree, size=0, path="")
        if any(part in ("", ".", "..") for part in path.split("/")):
            return None
        listed = self.run("ls-tree", "-z", "-l", "--full-tree", commit, "--", path)
        return next((entry for entry in entries_in(listed) if entry.path == path), None)

    def children(self, tree: Entry) -> list[Entry]:
        """Return the entries directly below a folder."""
        prefix = f"{tree.path}/" if tree.path else ""
        listed = self.run("ls-tree", "-z", "-l", "--full-tree", tree.sha)
        return [
            Entry(**{**vars(entry), "path": prefix + entry.path}) for entry in entries_in(listed)
        ]

    def blob(self, sha: str) -> bytes:
        """Return the bytes of a file."""
        return self.run("cat-file", "blob", sha)

    def commits(self, start: str, *, path: str = "", skip: int = 0, limit: int = 1) -> list[Commit]:
        """Return commits from `start` backwards; with a path, only those that changed it."""
        limits = [f"--skip={skip}", f"--max-count={limit}"]
        only = ["--", path] if path else []
        listed = self.run("log", f"--format=tformat:{COMMIT_FORMAT}", *limits, start, *only)
        return list(commits_in(listed))

    def changed_files(self, commit: str) -> list[tuple[str, str, str]]:
        """Return (path, GitHub's word for the status, blob) of each file that a commit changed."""
        out = self.run(
            "diff-tree", "-r", "-z", "--root", "--no-commit-id", "-m", "--first-parent",
            "--no-renames", "--raw", commit,
        )  # fmt: skip
        words = out.decode(errors="surrogateescape").split("\0")
        changes = [(words[at].split(), words[at + 1]) for at in range(0, len(words) - 1, 2)]
        return [
            (path, _STATUS.get(raw[4], "changed"), raw[2] if raw[4] == "D" else raw[3])
            for raw, path in changes
        ]

    def write_blob(self, content: bytes) -> str:
        """Store a file's content; return the blob."""
        return self.run("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def write_tree(self, head: str | None, path: str, file: tuple[str, str] | None) -> str | None:
        """Store the tree of `head` with another file (mode, blob) at a path, or without that file.

        Returns None when the path is not valid, for example because it goes through a file.
        """
        with tempfile.TemporaryDirectory(prefix="index-") as scratch:
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            if head is not None:
                self.run("read-tree", head, variables=index)
            if file is not None:
                cacheinfo = ",".join((*file, path))
                done = self.attempt(
                    "update-index", "--add", "--cacheinfo", cacheinfo, variables=index
                )
            else:
                line = f"0 {NO_OBJECT}\t{path}\0".encode(errors="surrogateescape")
                done = self.attempt(
                    "update-index", "-z", "--index-info", stdin=line, variables=index
                )
            if done is None:
                return None
            return self.run("write-tree", variables=index).decode().strip()

    def commit_tree(self, tree: str, parent: str | None, change: Change) -> str | None:
        """Store a commit; return None when Git does not accept its author or committer."""
        made = self.attempt(
            "commit-tree",
            tree,
            *(("-p", parent) if parent is not None else ()),
            stdin=change.message.encode(),
            variables=change.author.variables("AUTHOR") | change.committer.variables("COMMITTER"),
        )
        return None if made is None else made.decode().strip()

    def _completed(
        self, args: Sequence[str], stdin: bytes, variables: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[bytes]:
        # The output stays bytes, because a file in the repository may have any encoding.
        return subprocess.run(
            ["git", *args],
            check=False,
            capture_output=True,
            input=stdin,
            timeout=GIT_TIMEOUT,
            env=smart_http.environment({"GIT_DIR": str(self.directory), **(variables or {})}),
        )
