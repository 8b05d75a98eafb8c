"""The objects of one shared definition, as kustomize builds it alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.check import build, flux_build
from fleet.check.artifact import ArtifactFolder
from fleet.check.built_object import BuiltObject
from fleet.errors import CommandError
from fleet.render.commit_order import ObjectsOf


@contextmanager
def reader(root: Path) -> Iterator[ObjectsOf]:
    """Yield a function that returns the names of a definition's objects, built on demand.

    The checkout is copied for the first question, and most runs of `pulumi up` have none.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-objects-") as folder:
        known: dict[str, frozenset[str] | None] = {}
        copy = Path(folder) / "repository"

        def objects_of(path: str) -> frozenset[str] | None:
            if not copy.exists():
                build.pack(root, copy)
            if path not in known:
                known[path] = _objects(root, copy.resolve(), path)
            return known[path]

        yield objects_of


def _objects(root: Path, copy: Path, path: str) -> frozenset[str] | None:
    folder = ArtifactFolder(repository=root, copy=copy, path=path, file=path)
    if not folder.folder.is_dir():
        return None
    if flux_build.reference_problems(folder, {}):
        raise CommandError(f"{path}: has references that Flux refuses; run `fleet check`")
    try:
        built = [BuiltObject(path=path, manifest=m) for m in flux_build.manifests(folder, {})]
    except CommandError as error:
        raise type(error)(f"{path}: does not build: {error}") from None
    return frozenset(f"{item.group} {item.display_name}".strip() for item in built)
