"""Builds by kustomize, each done once for the content of all files that it reads.

A build runs in a folder that has these files only. So a file that is not known to be read cannot
change a result that is found again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet import cache, files
from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.kube.manifest import Manifest

# Flux allows references to all of the repository; `references` finds any other before a build.
_OPTIONS = ("--load-restrictor", "LoadRestrictionsNone")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that a build of the folder `path` reads: files, and folders that may be empty.

    Paths are relative to the root of the repository.
    """

    path: str
    files: Mapping[str, bytes]
    folders: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Built:
    """A text that kustomize built, and the manifests in it."""

    text: str
    manifests: tuple[Manifest, ...]


def build(inputs: Inputs) -> Built:
    """Return what kustomize builds from a folder. Raises CommandError, and LimitError as it is."""
    file = cache.build(_key(inputs))
    return _read(file) or _build(inputs, file)


def _key(inputs: Inputs) -> str:
    digests = {path: hashlib.sha256(text).hexdigest() for path, text in inputs.files.items()}
    content = [_program(), _OPTIONS, inputs.path, digests, sorted(inputs.folders)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _program() -> list[str | int]:
    """Return what tells this kustomize from other versions, without a run of it."""
    name, *words = kustomize.command()
    found = os.stat(os.path.realpath(name))  # noqa: PTH116 - follows all links
    return [os.path.realpath(name), found.st_size, found.st_mtime_ns, *words]


def _read(file: Path) -> Built | None:
    try:
        content = json.loads(file.read_bytes())
        os.utime(file)
    except (OSError, ValueError):
        # A result that is missing or damaged is built again.
        return None
    return Built(text=content["text"], manifests=tuple(content["manifests"]))


def _build(inputs: Inputs, file: Path) -> Built:
    with tempfile.TemporaryDirectory(prefix="fleet-build-") as folder:
        root = Path(folder).resolve()
        _write(root, inputs)
        text = kustomize.build(root, inputs.path, *_OPTIONS)
    # JSON is read in a small part of the time that YAML takes, and all keys are texts in it.
    manifests = json.loads(json.dumps(kustomize.manifests(text), default=str))
    content = json.dumps({"text": text, "manifests": manifests})
    # Only this user may read a result, since a repository may be private.
    files.write(file, content.encode("utf-8", "surrogateescape"), mode=0o600)
    cache.remove_unused(file.parent)
    return Built(text=text, manifests=tuple(manifests))


def _write(root: Path, inputs: Inputs) -> None:
    for name in inputs.folders:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, content in inputs.files.items():
        target = root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise CommandError(f"{name}: cannot be built: {error.strerror}; rename it") from None
