"""Ranges of revisions, such as `main..HEAD`, and the files that differ in one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import CommandError, FleetError
from fleet.kube import artifact

_HUNK = re.compile(rb"@@ -\S+ \+(?P<start>\d+)(,(?P<count>\d+))? @@")
_DIFF = (
    "diff", "--relative", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv",
    "--submodule=short",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Range:
    """Two states of a checkout: the commit `base`, and `head`, None for the working copy."""

    base: str
    head: str | None = None

    def __str__(self) -> str:
        return f"{self.base}..{self.head or '(working copy)'}"


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    """A file that differs, and the first line of each changed part of it afterwards."""

    path: str
    is_removed: bool
    lines: tuple[int, ...]


def range_of(root: Path, text: str) -> Range:
    """Return the range that a text names. Raises FleetError.

    As in Git, `A...B` begins where B left A, and an end that is not written is HEAD. A single
    revision, or no text, is compared with the working copy.
    """
    base, dots, head = _split(text)
    if dots == "...":
        try:
            base = artifact.git(root, "merge-base", "--end-of-options", base, head).strip()
        except CommandError as error:
            raise FleetError(f"{text}: has no common commit: {error}") from None
    return Range(base=base, head=head if dots else None)


def _split(text: str) -> tuple[str, str, str]:
    dots = "..." if "..." in text else ".." if ".." in text else ""
    base, _, head = text.partition(dots) if dots else (text, "", "")
    return base or "HEAD", dots, head or "HEAD"


def changed_files(root: Path, revisions: Range) -> Mapping[str, ChangedFile]:
    """Return the files that differ in a range, by path, with those that Git would add."""
    ends = [revisions.base] if revisions.head is None else [revisions.base, revisions.head]
    ends = ["--end-of-options", *ends, "--"]
    names = artifact.git(root, *_DIFF, "--name-status", "-z", *ends).split("\0")
    found = dict(zip(names[1::2], names[::2], strict=False))
    # Git writes both lists in the same order. A link that becomes a file has two parts.
    parts = iter(_parts(root, ends))
    files: dict[str, ChangedFile] = {}
    for path, status in found.items():
        texts = [next(parts, b"") for _ in range(2 if status == "T" else 1)]
        lines = tuple(line for text in texts for line in _lines(text))
        files[path] = ChangedFile(path=path, is_removed=status == "D", lines=lines)
    if revisions.head is None:
        for path in artifact.git(root, "ls-files", "-z", "-o", "--exclude-standard").split("\0"):
            if path:
                files[path] = ChangedFile(path=path, is_removed=False, lines=(1,))
    return files


def _parts(root: Path, ends: Sequence[str]) -> list[bytes]:
    """Return the differences, one for each file."""
    with tempfile.TemporaryDirectory(prefix="fleet-git-") as folder:
        # The output of a program is read as text, in which a carriage return ends a line.
        file = Path(folder) / "diff"
        artifact.git(root, *_DIFF, "--unified=0", f"--output={file}", *ends)
        return re.split(rb"^diff --git ", file.read_bytes(), flags=re.MULTILINE)[1:]


def _lines(part: bytes) -> Iterator[int]:
    for line in part.split(b"\n"):
        if match := _HUNK.match(line):
            # A part that is only removed has the line before it.
            yield max(1, int(match["start"]))
