"""The move of a cluster from the place that its Flux followed so far to the stack's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fleet.config.models import Stack
from fleet.config.stack_files import own_file
from fleet.render import layout


def former_stack(stack: Stack) -> Stack | None:
    """Return the stack as it was at the former place, None if the cluster does not move.

    Only its name, its branch and what follows from them are those of the former place.
    """
    former = stack.config.cluster.moves_from
    if former is None:
        return None
    repository = stack.config.repository
    branch, name = former.branch or repository.branch, former.stack or stack.name
    config = stack.config.model_copy(
        update={"repository": repository.model_copy(update={"branch": branch})}
    )
    return replace(stack, name=name, file=own_file(name), config=config)


def former_names(stack: Stack) -> list[str]:
    """Return the former name of a stack that was renamed, in a list that is empty otherwise."""
    former = former_stack(stack)
    return [former.name] if former and former.name != stack.name else []


def redirect(stack: Stack, former: Stack) -> tuple[str, str]:
    """Return the paths of the file that leads Flux on: the former tree's, and its new text's."""
    return f"{former.path}/{layout.SYNC_FILE}", f"{stack.path}/{layout.SYNC_FILE}"


def tree_paths(stack: Stack, paths: Collection[str]) -> list[str]:
    """Return those of the paths of a branch that are in a stack's tree, sorted.

    A tree is removed entrypoint first, so one without an entrypoint has no paths any more.
    """
    if f"{stack.path}/{layout.ENTRYPOINT}" not in paths:
        return []
    return sorted(path for path in paths if path.startswith(f"{stack.path}/"))
