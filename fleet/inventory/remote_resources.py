"""The resources that kustomizations take from the network, which no build here may fetch.

They are taken out of a copy of the repository, so that everything beside them is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.errors import CommandError
from fleet.kube import references, yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES

_TYPE = ("apiVersion", "kind")
# The texts of resources by the kustomization that names them.
Remote = Mapping[str, Sequence[str]]


def take_out(copy: Path) -> Remote:
    """Remove the remote resources from all kustomizations of a copy, and return them.

    All lines keep their numbers. A resource that is not alone on its line stays, and the build of
    its folder says that it is remote.
    """
    found: dict[str, list[str]] = {}
    files = (file for name in KUSTOMIZATION_FILES for file in sorted(copy.rglob(name)))
    for file in files:
        if not file.is_file():
            continue
        try:
            texts = references.remote_resources(file.parent)
        except CommandError:
            # The build of the folder says what is wrong.
            continue
        if removed := _removed(file, texts):
            found[file.relative_to(copy).as_posix()] = removed
    return found


def _removed(file: Path, texts: Sequence[str]) -> list[str]:
    """Make comments of the lines with resources, and return the resources."""
    if not texts:
        return []
    content = file.read_text("utf-8", "surrogateescape")
    removed = []
    for text in texts:
        line = rf"^([ \t]*)- *([\"']?){re.escape(text)}\2[ \t]*(#.*)?$"
        content, count = re.subn(line, r"\1#", content, flags=re.MULTILINE)
        removed += [text] if count else []
    if removed and _is_empty(content):
        # kustomize refuses a kustomization without anything, and Flux adds this key to such a one.
        content += "\nbuildMetadata: [originAnnotations]\n"
    file.write_text(content, "utf-8", "surrogateescape")
    return removed


def _is_empty(content: str) -> bool:
    """Tell whether a kustomization has nothing but its type."""
    (found,) = yaml_reader.documents(content) or [None]
    return not any(value for key, value in (found or {}).items() if key not in _TYPE)
