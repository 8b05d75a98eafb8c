"""The files of committed trees that change together with shared definitions.

Definitions are live when they are merged, and a list is so when `pulumi up` has committed it. In
between, a cluster could have a thing twice or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fleet.config.models import Stack
from fleet.promote.draft import Plan
from fleet.render import header, layout, tree


def with_trees(plan: Plan, stacks: Iterable[tuple[Stack, Stack]], files: Mapping[str, str]) -> Plan:
    """Return a plan with the files of the trees, after the stack files that they are made from.

    `stacks` are all stacks before and after, and `files` has the trees that are committed. The
    tree of a rendered cluster holds no definition that a merge could change.
    """
    made: dict[str, str | None] = {}
    notes: list[str] = []
    for before, after in stacks:
        is_committed = f"{after.path}/{layout.ENTRYPOINT}" in files
        if after.name in plan.trees and is_committed and not after.is_rendered:
            changed = [
                found for found in _changed(before, after) if found[2] != files.get(found[0])
            ]
            made |= {path: new for path, _, new in changed}
            notes += (
                f"{path}: was not as {after.file} says, so the merge brings the rest of it too"
                for path, old, _ in changed
                if files.get(path) != old
            )
    first = [path for path in plan.files if path not in files or "/" not in path]
    first = [path for path in first if plan.files[path] is not None]
    ordered = {path: plan.files[path] for path in first} | made
    return Plan(
        files=ordered | {path: text for path, text in plan.files.items() if path not in ordered},
        trees=plan.trees,
        notes=(*plan.notes, *notes),
    )


def _changed(before: Stack, after: Stack) -> list[tuple[str, str | None, str | None]]:
    """Return each file of a tree that differs, with its text before and after."""
    texts = [dict(_texts(stack)) for stack in (before, after)]
    return [
        (path, texts[0].get(path), texts[1].get(path))
        for path in sorted(texts[0].keys() | texts[1].keys())
        if texts[0].get(path) != texts[1].get(path)
    ]


def _texts(stack: Stack) -> Iterator[tuple[str, str]]:
    for path, file in tree.files(stack).items():
        yield path, header.with_header(stack.file, file.write())
