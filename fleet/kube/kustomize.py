"""The two programs behind `fleet check`: from PATH, or built once by `make tools`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleet import cache
from fleet.errors import CommandError
from fleet.kube import yaml_reader, yaml_writer
from fleet.process import run

BUILD_TIMEOUT = 120


def kustomize() -> list[str]:
    """Return the command that builds a folder, up to the folder itself."""
    if found := _find("kustomize"):
        return [found, "build"]
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    raise CommandError("kustomize: not found; put it (or kubectl) on PATH or run `make tools`")


def build(root: Path, path: str, *options: str) -> list[dict[str, Any]]:
    """Return the objects that kustomize makes of the folder `path` below `root`.

    Raises CommandError with what kustomize says, paths relative to `root`.
    """
    try:
        text = run([*kustomize(), *options, path], timeout=BUILD_TIMEOUT, cwd=root)
    except CommandError as error:
        raise CommandError(str(error).replace(f"{root.resolve()}/", "")) from None
    try:
        return [content for content in yaml_reader.documents(text) if content is not None]
    except ValueError as error:
        raise CommandError(f"kustomize's output: {error}") from None


def _find(name: str) -> str | None:
    built = cache.programs() / name
    return shutil.which(name) or (str(built) if built.exists() else None)


KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def complete(folder: Path) -> None:
    """List the YAML files of a folder that has no kustomization.yaml, as Flux does to build it."""
    if not kustomization(folder):
        content = {"resources": list(manifests(folder))}
        (folder / KUSTOMIZATION_FILES[0]).write_text(yaml_writer.dump(content), encoding="utf-8")


def manifests(folder: Path, below: str = "") -> Iterator[str]:
    """Yield what Flux lists for a folder without a kustomization, relative to it."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not kustomization(path):
            yield from manifests(path, f"{below}{path.name}/")
        elif path.is_dir() or path.suffix in (".yaml", ".yml"):
            yield f"{below}{path.name}"


def kustomization(folder: Path) -> Path | None:
    """Return the file in a folder that kustomize would take, None where there is none."""
    files = (folder / name for name in KUSTOMIZATION_FILES)
    return next((file for file in files if file.is_file()), None)
