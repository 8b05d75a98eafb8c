"""The move of a cluster from the place that its Flux followed so far to the stack's own."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from fleet.config.models import Stack
from fleet.config.stack_files import own_file
from fleet.render import commits, layout


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


def has_tree(stack: Stack, paths: Container[str]) -> bool:
    """Say whether a branch with these paths has the tree of a stack.

    A tree is removed entrypoint first, so one without an entrypoint is no tree any more.
    """
    return f"{stack.path}/{layout.ENTRYPOINT}" in paths


@dataclass(frozen=True, kw_only=True)
class FormerTree:
    """The tree that a cluster followed so far: it stays as it is, except for one file.

    `branch` has the paths that `waves` lists, in the order in which they may be committed; the last
    one is the entrypoint. The file `redirect`, one of them, gets a `text` with which Flux follows
    the new tree; it is None when the branch has that text already.
    """

    branch: str
    waves: Sequence[Sequence[str]]
    redirect: str | None
    text: str
    message: str


def former_tree(stack: Stack, files: Mapping[str, str], paths: Container[str]) -> FormerTree | None:
    """Return the tree that a cluster moves from, None if it moves from none or has none there.

    `files` are the texts of the stack's own tree. `paths` are all that the former branch has; those
    below the former tree that the own tree has not are somebody else's.
    """
    former = former_stack(stack)
    if former is None or not has_tree(former, paths):
        return None
    moved = (former.path + path.removeprefix(stack.path) for path in files)
    return FormerTree(
        branch=former.config.repository.branch,
        waves=commits.path_waves(former, [path for path in moved if path in paths]),
        redirect=f"{former.path}/{layout.SYNC_FILE}",
        text=files[f"{stack.path}/{layout.SYNC_FILE}"],
        message=f"{stack.name}: {layout.SYNC_FILE} of {former.path} leads to {stack.path} of "
        f"{stack.config.repository.branch}",
    )
