"""The trees below clusters/ as they are in a checkout, compared with those that fleet makes now.

The header of a generated file has a checksum. So a file that somebody edited differs from one that
is only older than its stack file, and no history of Git is needed.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from fleet.check.rules import Rule, finds
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.identity import edited_files
from fleet.inventory.build import ClusterBuild
from fleet.inventory.finding import Finding, listed
from fleet.render import header, identity_file, layout, rendered_moves

_YAML = (".yaml", ".yml")
_REMEDY = "run `fleet render --out .`, review the difference, commit and push it"


@dataclass(frozen=True, kw_only=True)
class CommittedTree:
    """The files of a cluster's tree in a checkout, as far as they are not those of the next `up`.

    `now` has the texts that fleet makes now; it is empty if the tree cannot be made.
    """

    stack: Stack
    now: Mapping[str, str]
    differing: Mapping[str, str]
    missing: tuple[str, ...]

    @cached_property
    def edited(self) -> list[str]:
        """The generated files that somebody edited by hand."""
        entrypoint = f"{self.stack.path}/{layout.ENTRYPOINT}"
        # The entrypoint is committed last, so it is as old as the tree.
        first = self.differing.get(entrypoint) or self.now.get(entrypoint, "")
        has_checksums = header.has_checksum(first)
        return [
            path
            for path, text in self.differing.items()
            if edited_files.is_edited(
                self.stack, text, is_generated=path in self.now, has_checksums=has_checksums
            )
        ]

    @cached_property
    def hand_written(self) -> list[str]:
        """The files that fleet has never generated."""
        return [
            path
            for path, text in self.differing.items()
            if path not in self.now and not edited_files.has_header(self.stack, text)
        ]

    @cached_property
    def lost(self) -> list[str]:
        """The files that a list of the tree names, and that are not there."""
        if not self.missing or self._is_new:
            return []
        names = {
            f"{PurePosixPath(path).parent}/{name}".replace("/./", "/")
            for path, text in {**self.now, **self.differing}.items()
            if path.endswith(f"/{layout.KUSTOMIZATION}") and path not in self.missing
            for manifest in rendered_moves.manifests_in(text)
            for name in manifest.get("resources") or ()
        }
        return [path for path in self.missing if path in names]

    @cached_property
    def older(self) -> list[str]:
        """The files that the next `pulumi up` changes, makes or removes, and nobody edited."""
        if self._is_new or not self.now:
            return []
        others = {*self.edited, *self.hand_written, *self.lost}
        return sorted({*self.differing, *self.missing} - others)

    @property
    def _is_new(self) -> bool:
        """Tell whether the first `pulumi up` has not made the tree yet."""
        return f"{self.stack.path}/{layout.ENTRYPOINT}" in self.missing


def read(root: Path, builds: Iterable[tuple[Stack, ClusterBuild]]) -> list[CommittedTree]:
    """Return the trees in a checkout that are not as fleet makes them now.

    Raises FleetError for a file or a folder that cannot be read.
    """
    contents = _Contents()
    try:
        return [
            _read(root, stack, cluster)
            for stack, cluster in builds
            if not _is_current(root, stack, cluster, contents)
        ]
    except OSError as error:
        raise FleetError(f"{root}: cannot be read: {error}") from None


def _is_current(root: Path, stack: Stack, cluster: ClusterBuild, contents: _Contents) -> bool:
    """Tell whether a checkout has a tree as fleet makes it now, or none yet."""
    expected: dict[str, tuple[str, ...]] = {path: (text,) for path, text in cluster.files.items()}
    if cluster.files and (body := cluster.components) is not None:
        components = f"{stack.path}/{layout.COMPONENTS_FILE}"
        expected[components] = (header.lines(stack.file, body), body)
    paths = set(_paths(root, stack))
    return not paths or (
        paths == expected.keys()
        and all(contents.are(f"{root}/{path}", parts) for path, parts in expected.items())
    )


class _Contents:
    """The contents of files, all read into the same memory, because a large fleet has many."""

    def __init__(self) -> None:
        self._read = bytearray(2**20)

    def are(self, file: str, parts: Iterable[str]) -> bool:
        """Tell whether a file has these parts one after the other, and nothing else."""
        with open(file, "rb", buffering=0) as source:  # noqa: PTH123 - a Path takes longer
            size = source.readinto(self._read)
        end = 0
        for part in map(_encoded, parts):
            if not self._read.startswith(part, end):
                return False
            end += len(part)
        # A longer file may go on behind the memory.
        return end == size < len(self._read)


# All clusters have the same install manifests, which are large.
@functools.lru_cache(maxsize=16)
def _encoded(text: str) -> bytes:
    return text.encode()


def _read(root: Path, stack: Stack, cluster: ClusterBuild) -> CommittedTree:
    texts = _texts(root, stack)
    now = dict(cluster.files) if texts else {}
    components = f"{stack.path}/{layout.COMPONENTS_FILE}"
    if now and cluster.components is not None:
        now[components] = header.with_header(stack.file, cluster.components)
    return CommittedTree(
        stack=stack,
        now=now,
        differing={path: text for path, text in texts.items() if now.get(path) != text},
        missing=tuple(path for path in now if path not in texts),
    )


def _texts(root: Path, stack: Stack) -> dict[str, str]:
    """Return the YAML files of a tree, without the one that only a cluster's UID decides about."""
    return {path: (root / path).read_text("utf-8", "replace") for path in _paths(root, stack)}


def _paths(root: Path, stack: Stack) -> Iterator[str]:
    """Yield the paths of these files in the repository."""
    identity = identity_file.path(stack)
    folders = [stack.path] if (root / stack.path).is_dir() else []
    while folders:
        folder = folders.pop()
        with os.scandir(f"{root}/{folder}") as found:
            for item in found:
                path = f"{folder}/{item.name}"
                if item.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif path.endswith(_YAML) and path != identity and _is_plain(item):
                    yield path


def _is_plain(item: os.DirEntry[str]) -> bool:
    return item.is_file(follow_symlinks=False)


@finds(Rule.EDITED_TREE)
def edited(trees: Iterable[CommittedTree]) -> Iterator[Finding]:
    """Rule: nobody edits a generated file, because `pulumi up` refuses such a tree."""
    for tree in trees:
        for path in tree.edited:
            problem = f"was edited by hand, so `pulumi up` refuses it; change {tree.stack.file}"
            yield Finding(file=path, object="", problem=f"{problem}, and {_REMEDY}")
        for path in tree.lost:
            problem = "is in a list of its tree, and somebody removed it, so Flux fails"
            yield Finding(file=path, object="", problem=f"{problem}; {_REMEDY}")


@finds(Rule.HAND_WRITTEN)
def hand_written(trees: Iterable[CommittedTree]) -> Iterator[Finding]:
    """Rule: below clusters/ are decisions alone, and all definitions are shared ones."""
    for tree in trees:
        for path in tree.hand_written:
            yield Finding(
                file=path,
                object="",
                problem="was not generated by fleet; move it to apps/ or infrastructure/, and "
                f"list its folder in {tree.stack.file}",
            )


def pending(trees: Iterable[CommittedTree]) -> list[tuple[str, str]]:
    """Return the name of each stack whose tree is older, with a text; this is no mistake.

    A rendered cluster has a line of its own about its definitions.
    """
    return [(tree.stack.name, _pending(tree)) for tree in trees if tree.older]


def _pending(tree: CommittedTree) -> str:
    names = [path.removeprefix(f"{tree.stack.path}/") for path in tree.older]
    return (
        f"the committed tree is older than its stack file ({listed(names)}); "
        "`pulumi up -s <stack>` commits it"
    )
