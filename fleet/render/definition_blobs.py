"""The shared definitions of a checkout, compared with those of the branch that the clusters pull.

A rendered tree is made from the checkout, and everybody reads the definitions on the branch. Git's
checksums of files tell in one request whether both are the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from fleet.config.definitions import SHARED_FOLDERS
from fleet.config.models import Stack
from fleet.kube import artifact

# More files than these are counted, and not named.
_NAMED = 5


def in_checkout(root: Path) -> dict[str, str]:
    """Return Git's checksum of every file of the shared definitions, by its path.

    Files that Git ignores are left out. A file that is not committed yet is not.
    """
    return {
        name: _blob_sha(path)
        for name in artifact.file_names(root)
        if name.partition("/")[0] in SHARED_FOLDERS
        and ((path := root / name).is_symlink() or path.is_file())
    }


def _blob_sha(path: Path) -> str:
    """Return the checksum that Git has for a file with these bytes, or for a symbolic link."""
    content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    # Git's names of files are SHA-1; this protects nothing.
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def problems(stack: Stack, checkout: Mapping[str, str], branch: Mapping[str, str]) -> list[str]:
    """Return a line if the definitions of a rendered cluster are not those of the branch.

    Both map a path to Git's checksum of the file. Files of `branch` outside the definitions do not
    matter.
    """
    theirs = {path: sha for path, sha in branch.items() if path.partition("/")[0] in SHARED_FOLDERS}
    different = sorted(
        path for path in {*checkout, *theirs} if checkout.get(path) != theirs.get(path)
    )
    if not stack.is_rendered or not different:
        return []
    more = f" and {len(different) - _NAMED} more" if len(different) > _NAMED else ""
    repository = stack.config.repository
    return [
        f"{stack.file}: fleet:definitions: rendered, but this checkout is not branch "
        f"{repository.branch} of {repository.owner}/{repository.name} in "
        f"{', '.join(different[:_NAMED])}{more}; commit and push, or pull, and run it again"
    ]
