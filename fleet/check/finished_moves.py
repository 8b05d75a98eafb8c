"""The moves of clusters that are done, so that their key can leave the stack file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.render import layout, place_moves, tree


def lines(root: Path, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield one line for each stack whose former tree in the checkout leads to its own.

    `pulumi up` commits the last file of a move there. Without the key it refuses a cluster that
    has not followed, so a line that comes too early does no harm.
    """
    for stack in stacks:
        former = place_moves.former_stack(stack)
        if former is None:
            continue
        text = tree.render(stack, None)[f"{stack.path}/{layout.SYNC_FILE}"]
        found = [_text(root / place.path / layout.SYNC_FILE) for place in (stack, former)]
        if found[0] == text and found[1] in (None, text):
            yield problem(
                stack.file,
                key_at(("cluster", "movesFrom")),
                f"{stack.path} of {stack.config.repository.branch} is committed, and the former "
                "tree leads to it; remove the key, and run `pulumi up` to remove the former tree",
            )


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
