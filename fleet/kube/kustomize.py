"""Folders that kustomize builds, and the program itself."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from fleet import process
from fleet.errors import CommandError
from fleet.kube import yaml_reader
from fleet.kube.manifest import Manifest, object_id

BUILD_TIMEOUT = 60
# Flux's kustomize-controller has a limit of 1 Gi for all of its builds together.
BUILD_MEMORY = 1024
# kustomize ends these messages with values, which may be those of a Secret.
_VALUES = re.compile(r"(literal sources?|node contents:)\s.*", re.DOTALL)
# The names that kustomize accepts for a folder's kustomization, most common first.
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def command() -> list[str]:
    """Return the command that builds a folder, without the folder. Raises CommandError."""
    if kustomize := process.find_program("kustomize"):
        return [kustomize, "build"]
    if kubectl := shutil.which("kubectl"):
        return [kubectl, "kustomize"]
    raise CommandError(
        "kustomize: not found; put it (or kubectl) on PATH or run `make check-tools`"
    )


def build(root: Path, path: str, *options: str) -> str:
    """Return the text that kustomize builds from the folder `path` below `root`.

    Raises CommandError with kustomize's message, in which paths are relative to `root`, and
    LimitError if the build takes too much time or memory.
    """
    try:
        return process.run(
            [*command(), *options, path], timeout=BUILD_TIMEOUT, cwd=root, memory=BUILD_MEMORY
        )
    except CommandError as error:
        text = str(error).replace(f"{root.resolve()}/", "")
        raise type(error)(_without_content(_VALUES.sub(r"\1 ...", text))) from None


def _without_content(message: str) -> str:
    """Return a message with the names of objects instead of their content: Secrets are among them.

    kustomize writes whole objects as JSON into some messages.
    """
    decoder = json.JSONDecoder()
    found = ""
    before, start, rest = message.partition('{"')
    while start:
        try:
            content, end = decoder.raw_decode(start + rest)
        except ValueError:
            # The rest of an object that the message has only in part may be anything.
            return f"{found}{before}..."
        found += f"{before}{object_id(content)}"
        before, start, rest = (start + rest)[end:].partition('{"')
    return found + before


def manifests(text: str) -> list[Manifest]:
    """Return the manifests in a text that kustomize built. Raises CommandError."""
    try:
        return [content for content in yaml_reader.documents(text) if content is not None]
    except ValueError as error:
        raise CommandError(f"kustomize's output: {error}") from None


def generated_resources(folder: Path, below: str = "") -> Iterator[str]:
    """Yield the resources of the kustomization that Flux generates, relative to `folder`."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not kustomization_file(path):
            yield from generated_resources(path, f"{below}{path.name}/")
        elif path.is_dir() or path.suffix in (".yaml", ".yml"):
            yield f"{below}{path.name}"


def kustomization_file(folder: Path) -> Path | None:
    """Return the file with a folder's kustomization, or None when it has none."""
    files = (folder / name for name in KUSTOMIZATION_FILES)
    return next((file for file in files if file.is_file()), None)
