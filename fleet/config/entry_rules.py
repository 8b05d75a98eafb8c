"""The entries of `fleet:infrastructure` and `fleet:apps`: which folders a cluster may name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet.config.base import DNS_LABEL
from fleet.config.models import Entry, entry_or_path
from fleet.kube.kustomize import KUSTOMIZATION_FILES


def problems(root: Path, name: str, file: str, values: Mapping[str, Any]) -> Iterable[str]:
    """Return what is wrong with the entries, also when other values are: all is told at once."""
    cluster = values.get("cluster")
    environment = cluster.get("environment") if isinstance(cluster, dict) else None
    if not (isinstance(environment, str) and re.fullmatch(DNS_LABEL, environment)):
        environment = name
    for key in ("infrastructure", "apps"):
        seen: set[str] = set()
        entries = values.get(key)
        for index, item in enumerate(entries if isinstance(entries, list) else ()):
            try:
                entry = Entry.model_validate(entry_or_path(item))
            except ValidationError:
                continue  # told by the model
            if problem := _entry_problem(root / key, entry, environment, seen):
                yield f"{file}: fleet:{key}[{index}]: {entry.path!r} {problem}"
            seen.add(entry.path)


def _entry_problem(folder: Path, entry: Entry, environment: str, seen: set[str]) -> str | None:
    parts = entry.path.split("/")
    if entry.path.startswith("/"):
        return f"is absolute; write it relative to {folder.name}/"
    if ".." in parts:
        return f"leaves {folder.name}/; name a folder below it without '..'"
    if "" in parts or "." in parts:
        return "is not plain; write it without '.', '//' or a '/' at the end"
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", entry.path):
        return "has odd characters; use letters, digits, '-', '_' and '.'"
    if entry.path in seen:
        return "is there twice; keep one"
    if not any((folder / entry.path / name).is_file() for name in KUSTOMIZATION_FILES):
        existing = definitions(folder)
        close = difflib.get_close_matches(entry.path, existing, n=3)
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"there are: {', '.join(existing) or 'none'}"
        )
        return f"has no kustomization.yaml below {folder.name}/; {hint}"
    other = other_environment(entry.path, environment)
    if other is not None and entry.because is None:
        return (
            f"is {other}'s and this cluster's environment is {environment}; take {environment}'s, "
            f"or say why: {{path: {entry.path}, because: ...}}"
        )
    return None


def definitions(folder: Path) -> list[str]:
    """Return the folders below `folder` that can be an entry, relative to it, sorted."""
    return sorted(
        {
            found.parent.relative_to(folder).as_posix()
            for name in KUSTOMIZATION_FILES
            for found in folder.rglob(name)
        }
    )


def other_environment(path: str, environment: str) -> str | None:
    """Return the environment that an entry is meant for when it is not the given one.

    `<thing>/overlays/<environment>` and `<set>/<environment>-only` name one.
    """
    parts = path.split("/")
    for before, part in zip(["", *parts], parts, strict=False):
        meant = part if before == "overlays" else part.removesuffix("-only")
        if (before == "overlays" or part.endswith("-only")) and meant != environment:
            return meant
    return None
