"""The files of a checkout, and the writes of a promotion: all of them, or none that stays alone.

A journal has all writes before the first one is made. So the same command completes a promotion
that was interrupted.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.changes.revisions import ChangedFile
from fleet.errors import FleetError
from fleet.kube import artifact
from fleet.promote.draft import Request

JOURNAL = ".fleet-promote.json"
NewTexts = Mapping[str, str | None]


def read(root: Path) -> dict[str, str]:
    """Return the texts of all files of a checkout but links and what is no text."""
    found: dict[str, str] = {}
    resolved = root.resolve()
    for name in artifact.file_names(root):
        path = resolved / name
        if path.is_file() and path.resolve() == path:
            try:
                found[name] = path.read_bytes().decode("utf-8")
            except (OSError, UnicodeDecodeError):
                # Nothing edits it. What reads it reports it.
                continue
    return found


def copy(root: Path, folder: Path) -> None:
    """Copy the files of a checkout to a folder."""
    resolved = root.resolve()
    for name in artifact.file_names(root):
        path = resolved / name
        if path.is_file() and path.resolve() == path:
            files.write(folder / name, path.read_bytes())


def changed_files(before: Mapping[str, str], after: NewTexts) -> dict[str, ChangedFile]:
    """Return the files that a plan changes, with the first line of each changed part."""
    return {
        path: ChangedFile(
            path=path,
            is_removed=text is None,
            lines=tuple(_first_lines(before.get(path, ""), text or "")),
        )
        for path, text in after.items()
    }


def _first_lines(before: str, after: str) -> Iterator[int]:
    matcher = difflib.SequenceMatcher(a=before.splitlines(), b=after.splitlines(), autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        if tag != "equal":
            # A part that is only removed has the line before it.
            yield start + 1 if end > start else max(1, start)


@dataclass(frozen=True, kw_only=True)
class _Write:
    """A file that is to have a text, None for one that is to go, and its digest before."""

    path: str
    before: str | None
    after: str | None


def write(root: Path, request: Request, before: Mapping[str, str], after: NewTexts) -> None:
    """Write the files of a plan, in its order. Raises FleetError before the first write."""
    writes = [
        _Write(path=path, before=_digest(before.get(path)), after=after[path]) for path in after
    ]
    for found in writes:
        _refuse_other(root, found)
    content = {
        "request": dataclasses.asdict(request),
        "writes": [dataclasses.asdict(found) for found in writes],
    }
    _write_file(root, JOURNAL, json.dumps(content, indent=2) + "\n")
    put(root, after)
    (root / JOURNAL).unlink()


def complete(root: Path, request: Request) -> list[str]:
    """Complete a promotion that was interrupted, and return its files; none if there is none.

    Raises FleetError if another promotion was interrupted, or somebody has changed its files.
    """
    journal = root / JOURNAL
    if not journal.is_file():
        return []
    try:
        content = json.loads(journal.read_text("utf-8"))
        former = Request(**content["request"])
        writes = [_Write(**found) for found in content["writes"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise FleetError(
            f"{journal}: is no journal of a promotion; remove it, and restore its files with git"
        ) from None
    if former != request:
        raise FleetError(
            f"{journal}: the promotion of {former.name} to {former.to} was interrupted; run that "
            "command again, or remove this file and restore what it names with git"
        )
    for found in writes:
        _refuse_other(root, found)
    put(root, {found.path: found.after for found in writes})
    journal.unlink()
    return [found.path for found in writes]


def _refuse_other(root: Path, found: _Write) -> None:
    """Raise FleetError if a file has neither its text before the promotion nor the one after."""
    target = root / found.path
    # A pull request could have made a link of a file.
    if not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root)):
        raise FleetError(f"{target}: leads out of {root}; remove the link")
    now = _digest(target.read_bytes().decode("utf-8", "replace")) if target.is_file() else None
    if now not in (found.before, _digest(found.after)):
        raise FleetError(f"{target}: has changed since the promotion began; restore it with git")


def put(root: Path, texts: NewTexts) -> None:
    """Write the files of a plan to a folder, in its order."""
    for path, text in texts.items():
        if text is None:
            _remove(root, path)
        else:
            _write_file(root, path, text)


def _write_file(root: Path, path: str, text: str) -> None:
    try:
        files.write(root / path, text.encode())
    except OSError as error:
        raise FleetError(f"{root / path}: cannot be written: {error.strerror}") from None


def _remove(root: Path, path: str) -> None:
    """Remove a file, and the folders that are empty without it."""
    target = root / path
    try:
        target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == root or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
    except OSError as error:
        raise FleetError(f"{target}: cannot be removed: {error.strerror}") from None


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()
