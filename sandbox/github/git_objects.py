"""Git's objects as plain values, read from the output of Git's plumbing commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Format of `git log`, and the number of fields in it. `commits_in` reads it.
COMMIT_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00"
_COMMIT_FIELDS = 10


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a tree: `kind` is blob, tree or commit; `size` is a blob's length in bytes."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """The author or committer of a commit; `date` is ISO 8601, and an empty one means now."""

    name: str
    email: str
    date: str = ""

    def variables(self, role: str) -> dict[str, str]:
        """Return the variables that tell Git this person. `role` is AUTHOR or COMMITTER."""
        date = {f"GIT_{role}_DATE": self.date} if self.date else {}
        return {f"GIT_{role}_NAME": self.name, f"GIT_{role}_EMAIL": self.email, **date}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit; its message has no line break at the end, as in GitHub's answers."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """The message and the people of a commit that does not exist yet."""

    message: str
    author: Person
    committer: Person


def entries_in(output: bytes) -> Iterator[Entry]:
    """Yield the entries that `git ls-tree -z -l` lists."""
    for line in output.decode(errors="surrogateescape").split("\0")[:-1]:
        columns, path = line.split("\t", 1)
        mode, kind, sha, size = columns.split()
        length = int(size) if size.isdecimal() else 0
        yield Entry(mode=mode, kind=kind, sha=sha, size=length, path=path)


def commits_in(output: bytes) -> Iterator[Commit]:
    """Yield the commits that `git log` lists in COMMIT_FORMAT."""
    fields = output.decode(errors="replace").split("\0")
    for start in range(0, len(fields) - 1, _COMMIT_FIELDS):
        sha, tree, parents, *people, message = fields[start : start + _COMMIT_FIELDS]
        author, committer = people[:3], people[3:]
        yield Commit(
            sha=sha.strip(),
            tree=tree,
            parents=tuple(parents.split()),
            author=Person(name=author[0], email=author[1], date=author[2]),
            committer=Person(name=committer[0], email=committer[1], date=committer[2]),
            message=message.rstrip("\n"),
        )
