"""The files and lines from which variables come into the objects of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.kube import references
from fleet.render import entry_lists, stages

_Lines = list[tuple[str, int, str]]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The lines of the definitions of a cluster that have a dollar sign, read when needed."""

    root: Path
    stack: Stack
    _lines: dict[str, _Lines] = field(default_factory=dict)

    def place(self, path: str, text: str) -> str:
        """Return the file and line of a text, the path that was built if no file has it.

        The objects of `path` come from all entries of a stage, and from the path itself.
        """
        first = text.partition("\n")[0]
        for folder in (path, *self._entries()):
            for file, number, line in self._lines_of(folder):
                if first in line:
                    return f"{file}:{number}"
        return path

    def _entries(self) -> Iterator[str]:
        for pairs in stages.entries_by_stage(self.stack).values():
            yield from (entry_lists.source_of(folder, entry) for folder, entry in pairs)

    def _lines_of(self, folder: str) -> _Lines:
        if folder not in self._lines:
            self._lines[folder] = [
                (file.relative_to(self.root).as_posix(), number, line)
                for file in _files(self.root, self.root / folder)
                for number, line in enumerate(_text(file).splitlines(), start=1)
                if "$" in line
            ]
        return self._lines[folder]


def _files(root: Path, folder: Path) -> Iterator[Path]:
    """Yield the files that a definition is made of, its own before those that it refers to."""
    todo, seen = [folder], set[Path]()
    while todo:
        target = todo.pop(0)
        if target in seen or root not in target.parents:
            continue
        seen.add(target)
        if target.is_dir():
            todo += _targets(target)
        elif target.is_file():
            yield target


def _targets(folder: Path) -> list[Path]:
    try:
        own = sorted(file for file in folder.iterdir() if file.is_file())
        return [*own, *references.targets(folder)]
    except CommandError:
        return []  # The build reports such a kustomization.


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
