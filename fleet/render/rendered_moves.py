"""Objects that would move from one rendered file of a stage to another.

Files are committed one by one. Between two commits such an object would be in no file, and Flux
would delete it, or in two, and Flux could not build the stage.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.config.models import Stack
from fleet.kube import yaml_reader
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.render import layout, stages


def problems(stack: Stack, committed: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """Return a line for each object that no order of commits moves safely.

    `committed` is the tree on the branch and `files` the new one. One commit of the list replaces a
    file that leaves the tree by one that is new in it; any other move takes two commits.
    """
    lines: list[str] = []
    for stage in stages.entries_by_stage(stack):
        folder = f"{stack.path}/{stage.value}/"
        before, after = objects_in(committed, folder), objects_in(files, folder)
        lines += [
            f"{stack.file}: {name} would move from {before[name]} to {path} in two commits; run "
            "`pulumi up` once with fleet:definitions: referenced, then again with rendered"
            for name, path in after.items()
            if before.get(name, path) != path and (before[name] in files or path in committed)
        ]
    return lines


def objects_in(files: Mapping[str, str], folder: str) -> dict[ObjectId, str]:
    """Return the objects in a stage's rendered files, each with the path of its file.

    What a Flux Kustomization of the stage applies has a folder and an inventory of its own.
    """
    return {
        object_id(manifest): path
        for path, text in files.items()
        if path.startswith(folder)
        and not path.startswith(f"{folder}{layout.NESTED}/")
        and path != f"{folder}{layout.KUSTOMIZATION}"
        for manifest in manifests_in(text)
    }


def manifests_in(text: str) -> list[Manifest]:
    """Return the objects in a file of a tree, none if it cannot be read."""
    try:
        documents = yaml_reader.documents(text)
    except ValueError:
        # Somebody edited the file, which is refused for another reason.
        return []
    return [document for document in documents if isinstance(document, dict)]
