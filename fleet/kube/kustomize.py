"""The two programs behind `fleet check`: from PATH, or built once by `make tools`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fleet import cache
from fleet.errors import CommandError
from fleet.kube import yaml_reader
from fleet.process import run

# Where the schema of a kind is; kubeconform fills it in, with "v1" for the core group.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
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


def kubeconform() -> str:
    """Return the path of kubeconform."""
    if found := _find("kubeconform"):
        return found
    raise CommandError("kubeconform: not found; put it on PATH or run `make tools`")


def schemas() -> Path:
    """Return the folder of JSON Schemas of Kubernetes, Flux, Kyverno and Gateway API."""
    folder = cache.schemas()
    if not folder.is_dir():
        raise CommandError("JSON schemas: not at hand; run `make tools`")
    return folder


def require() -> None:
    """Raise CommandError when one is absent: one line, before it is a finding for every path."""
    kustomize()
    kubeconform()
    schemas()


def _find(name: str) -> str | None:
    built = cache.programs() / name
    return shutil.which(name) or (str(built) if built.exists() else None)
