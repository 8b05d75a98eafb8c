"""The objects that kubeconform has accepted before, with the same schemas.

In a large fleet most objects of a run are those of the run before.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from fleet import cache, files
from fleet.check import json_schemas

# kubeconform's answers that depend on the object and its schema alone.
STATUSES = ("statusValid", "statusSkipped")


def file_of(root: Path, crds: Path, program: str, part: int = 0) -> Path:
    """Return the file with the results for a part of a checkout.

    Its name changes with the schemas of Kubernetes, those of the CRDs in a folder, and kubeconform.
    """
    found = os.stat(os.path.realpath(program))  # noqa: PTH116 - follows all links
    digest = hashlib.sha256()
    of_program = (program, found.st_size, found.st_mtime_ns)
    for item in (json_schemas.folder(), root.resolve(), part, *of_program):
        digest.update(f"{item}\n".encode())
    for schema in sorted(crds.rglob("*.json")):
        digest.update(f"{schema.relative_to(crds)}\n".encode() + schema.read_bytes())
    return cache.validated(digest.hexdigest())


def read(file: Path) -> Mapping[str, str]:
    """Return the status of each object by its digest, nothing if there is no readable file."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {digest: status for digest, status in content.items() if status in STATUSES}


def write(file: Path, statuses: Mapping[str, str]) -> None:
    """Keep the status of each object of a run."""
    files.write(file, json.dumps(statuses, sort_keys=True).encode(), mode=0o600)
