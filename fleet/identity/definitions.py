"""The shared definitions of a stack, compared with the branch that its cluster pulls.

`pulumi up` reads entries in the checkout, and Flux builds them from the branch. So a folder that
was never pushed is refused. Files that differ are a warning only: the cluster gets the branch's in
any case, and refusing would stop every change of a stack until a colleague's last commit is pulled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleet.config.keys import key_at
from fleet.config.models import Entry, Stack
from fleet.config.problem import problem
from fleet.errors import CommandError
from fleet.identity.reality import Branch, blob_sha
from fleet.kube import references
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization_file


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of the checkout that kustomize builds.

    `kustomization` is the path of its kustomization in the repository. `files` maps that path and
    the files that it names to the SHAs of their blobs, and `folders` are the folders that it names.
    """

    kustomization: str
    files: Mapping[str, str]
    folders: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """Paths of one entry that the branch does not have, and those that it has in another form."""

    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def read(root: Path, stack: Stack) -> dict[str, Folder]:
    """Return the folders that the entries of a stack need, by their paths in the repository."""
    root = root.resolve()
    todo = [root / path for _, _, path in _entries(stack)]
    folders: dict[str, Folder] = {}
    while todo:
        folder = todo.pop()
        file = kustomization_file(folder)
        # A path outside the repository is on no branch, and `fleet check` reports it.
        if file is None or root not in folder.parents or _path(root, folder) in folders:
            continue
        targets = [target for target in _targets(folder) if root in target.parents]
        files = [file, *(target for target in targets if target.is_file())]
        below = [target for target in targets if target.is_dir()]
        folders[_path(root, folder)] = Folder(
            kustomization=_path(root, file),
            files={_path(root, file): blob_sha(file.read_bytes()) for file in files},
            folders=[_path(root, target) for target in below],
        )
        todo += below
    return folders


def missing(stack: Stack, folders: Mapping[str, Folder], branch: Branch) -> list[str]:
    """Return a problem for each entry that Flux could not build from the branch."""
    return [
        problem(
            stack.file,
            key,
            f"{entry.path!r} needs {_some(found.missing)}, not on {branch.name} of "
            f"{branch.repository}, which the cluster pulls; push it",
        )
        for key, entry, found in _differences(stack, folders, branch)
        if found.missing
    ]


def different(stack: Stack, folders: Mapping[str, Folder], branch: Branch) -> list[str]:
    """Return a warning for each entry that the branch has in another form."""
    return [
        problem(
            stack.file,
            key,
            f"{entry.path!r} has {_some(found.different)} in another form on {branch.name} of "
            f"{branch.repository}, which is what the cluster gets; pull, and push what is yours",
        )
        for key, entry, found in _differences(stack, folders, branch)
        if found.different
    ]


def _differences(
    stack: Stack, folders: Mapping[str, Folder], branch: Branch
) -> Iterator[tuple[str, Entry, _Difference]]:
    for key, entry, path in _entries(stack):
        yield key, entry, _difference(path, folders, branch.files)


def _difference(
    path: str, folders: Mapping[str, Folder], on_branch: Mapping[str, str]
) -> _Difference:
    found = _Difference()
    todo, seen = [path], set[str]()
    while todo:
        at = todo.pop(0)
        folder = folders.get(at)
        if folder is None or at in seen:
            continue
        seen.add(at)
        if not any(f"{at}/{name}" in on_branch for name in KUSTOMIZATION_FILES):
            found.missing.append(folder.kustomization)
        elif on_branch.get(folder.kustomization) != folder.files[folder.kustomization]:
            # What the branch's kustomization names is not known here.
            found.different.append(folder.kustomization)
        else:
            todo += folder.folders
            for file, sha in folder.files.items():
                if file not in on_branch:
                    found.missing.append(file)
                elif on_branch[file] != sha:
                    found.different.append(file)
    return found


def _entries(stack: Stack) -> Iterator[tuple[str, Entry, str]]:
    """Yield the key, the entry and the folder of each entry of a stack."""
    lists = {"infrastructure": stack.config.infrastructure, "apps": stack.config.apps}
    for name, entries in lists.items():
        for index, entry in enumerate(entries):
            yield key_at((name, index)), entry, f"{name}/{entry.path}"


def _targets(folder: Path) -> list[Path]:
    try:
        return references.targets(folder)
    except CommandError:
        # `fleet check` reports a kustomization that cannot be read; here only its text counts.
        return []


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _path(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
