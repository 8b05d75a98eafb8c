"""Rules about an entry of `fleet:infrastructure` or `fleet:apps` and everything around it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from fleet.config.keys import key_at
from fleet.config.models import Entry
from fleet.config.outlines import StackOutline
from fleet.config.problem import problem
from fleet.config.valid_parts import Parts
from fleet.kube.kustomize import KUSTOMIZATION_FILES


class Folders:
    """The folders of a checkout; each is looked at once for all clusters that name it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._has_kustomization: dict[str, bool] = {}

    def has_kustomization(self, folder: str) -> bool:
        """Tell whether a folder, named by its path in the checkout, has a kustomization."""
        if folder not in self._has_kustomization:
            files = (self.root / folder / name for name in KUSTOMIZATION_FILES)
            self._has_kustomization[folder] = any(file.is_file() for file in files)
        return self._has_kustomization[folder]


def problems(folders: Folders, stack: StackOutline, parts: Parts) -> Iterator[str]:
    """Yield the problem of every valid entry that breaks a rule."""
    for key in ("infrastructure", "apps"):
        seen: set[str] = set()
        for index, entry in parts.items(key, Entry).items():
            text = (
                ("is there twice; keep one" if entry.path in seen else None)
                or _missing_folder(folders, key, entry)
                or _wrong_environment(entry, stack.environment)
            )
            if text:
                yield problem(stack.file, key_at((key, index)), f"{entry.path!r} {text}")
            seen.add(entry.path)


def _missing_folder(folders: Folders, key: str, entry: Entry) -> str | None:
    if folders.has_kustomization(f"{key}/{entry.path}"):
        return None
    existing = _definitions(folders.root / key)
    close = difflib.get_close_matches(entry.path, existing, n=3)
    hint = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"choose one of {', '.join(existing)}"
        if existing
        else "add the folder"
    )
    return f"has no kustomization.yaml below {key}/; {hint}"


def _definitions(folder: Path) -> list[str]:
    return sorted(
        {
            found.parent.relative_to(folder).as_posix()
            for name in KUSTOMIZATION_FILES
            for found in folder.rglob(name)
            # No entry can have such a name, and a problem is one line.
            if str(found).isprintable()
        }
    )


def _wrong_environment(entry: Entry, environment: str | None) -> str | None:
    if environment is None or entry.because is not None:
        return None
    other = other_environment(entry.path, environment)
    if other is None:
        return None
    return (
        f"is for {other}, but this cluster's environment is {environment}; name the folder for "
        f"{environment}, or give a reason: {{path: {entry.path}, because: ...}}"
    )


def other_environment(path: str, environment: str) -> str | None:
    """Return the environment that a path names if it is not the given one.

    `<app>/overlays/<environment>` and `<folder>/<environment>-only` name an environment.
    """
    parts = path.split("/")
    for before, part in zip(["", *parts], parts, strict=False):
        named = part if before == "overlays" else part.removesuffix("-only")
        if (before == "overlays" or part.endswith("-only")) and named != environment:
            return named
    return None
