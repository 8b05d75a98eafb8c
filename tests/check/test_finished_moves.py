"""The key of a move: named when the move is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.check import finished_moves
from fleet.config import load
from fleet.render import tree
from tests.support import stack_file, write

SYNC = "flux-system/gotk-sync.yaml"
DONE = (
    "Pulumi.dev.yaml: fleet:cluster.movesFrom: clusters/dev of main is committed, and the former "
    "tree leads to it; remove the key, and run `pulumi up` to remove the former tree"
)


def lines(checkout: Path, key: str, files: Mapping[str, str]) -> list[str]:
    """Return the lines of a checkout with these files; the text NEW is the one of the new tree."""
    cluster = f", environment: dev, movesFrom: {{{key}}}" if key else ""
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", cluster=cluster)})
    stack = load.stack(checkout, "dev")
    new = tree.render(stack, None)[f"clusters/dev/{SYNC}"]
    write(checkout, {path: text.replace("NEW", new) for path, text in files.items()})
    return [*finished_moves.lines(checkout, load.stacks(checkout))]


@pytest.mark.parametrize(
    ("key", "files"),
    [
        ("stack: old", {f"clusters/dev/{SYNC}": "NEW", f"clusters/old/{SYNC}": "NEW"}),
        ("stack: old", {f"clusters/dev/{SYNC}": "NEW"}),
        ("branch: release", {f"clusters/dev/{SYNC}": "NEW"}),
    ],
)
def test_the_key_can_go(key: str, files: Mapping[str, str], checkout: Path) -> None:
    assert lines(checkout, key, files) == [DONE]


@pytest.mark.parametrize(
    ("key", "files"),
    [
        ("", {f"clusters/dev/{SYNC}": "NEW"}),
        ("stack: old", {}),
        ("stack: old", {f"clusters/dev/{SYNC}": "NEW", f"clusters/old/{SYNC}": "former\n"}),
        ("branch: release", {f"clusters/dev/{SYNC}": "former\n"}),
    ],
)
def test_the_key_is_needed(key: str, files: Mapping[str, str], checkout: Path) -> None:
    assert lines(checkout, key, files) == []
