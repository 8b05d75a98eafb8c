"""Objects that move between rendered files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.render import rendered_moves
from tests.render.rendered_support import DEFINITIONS
from tests.render.support import HEADER, stack_of
from tests.support import config_map, kustomization, stack_file

Tree = dict[str, tuple[str, ...]]


def moves(checkout: Path, before: Tree, after: Tree) -> list[str]:
    """Return the problems of a change; a tree has by file the names of its ConfigMaps."""
    stack = stack_of(checkout, stack_file("dev", more=DEFINITIONS))
    trees = [
        {
            "clusters/dev/apps/kustomization.yaml": kustomization(*files),
            **{
                f"clusters/dev/{path}": HEADER.format(stack.file)
                + "---\n".join(config_map(name, "common") for name in names)
                for path, names in files.items()
            },
        }
        for files in (before, after)
    ]
    return rendered_moves.problems(stack, *trees)


A, B, C = "apps/a.yaml", "apps/b.yaml", "apps/c.yaml"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({A: ("x",), B: ("y",)}, {A: (), B: ("y", "x")}),
        ({A: ("x", "y")}, {A: ("y",), B: ("x",)}),
        ({A: ("x",), B: ("y",)}, {B: ("y", "x")}),
        ({"apps/a/b.yaml": ("x",), B: ()}, {B: ("x",)}),
    ],
)
def test_a_move_in_two_commits_is_refused(before: Tree, after: Tree, checkout: Path) -> None:
    (line,) = moves(checkout, before, after)
    source = next(path for path, names in before.items() if "x" in names)
    target = next(path for path, names in after.items() if "x" in names)
    assert line == (
        f"Pulumi.dev.yaml: ConfigMap common/x would move from clusters/dev/{source} to "
        f"clusters/dev/{target} in two commits; run `pulumi up` once with fleet:definitions: "
        "referenced, then again with rendered"
    )


def test_an_exchange_is_refused_twice(checkout: Path) -> None:
    assert len(moves(checkout, {A: ("x",), B: ("y",)}, {A: ("y",), B: ("x",)})) == 2


NESTED = "apps/kustomizations/flux-system/a/objects.yaml"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({A: ("x",)}, {B: ("x",)}),  # the list replaces one file by the other
        ({A: ("x", "y")}, {"apps/a/x.yaml": ("x",), "apps/a/y.yaml": ("y",)}),  # a split
        ({A: ("x",), B: ("y",)}, {A: ("x", "z"), B: ()}),
        ({}, {A: ("x",)}),
        ({A: ("x",)}, {}),
        ({A: ("x",)}, {A: ("x",), NESTED: ("x",)}),
        ({A: ("x",), "infra/a.yaml": ()}, {A: (), "infra/a.yaml": ("x",)}),  # between stages
    ],
)
def test_other_changes_are_not(before: Tree, after: Tree, checkout: Path) -> None:
    assert moves(checkout, before, after) == []


def test_a_file_that_cannot_be_read_has_no_objects(checkout: Path) -> None:
    stack = stack_of(checkout, stack_file("dev", more=DEFINITIONS))
    committed = {"clusters/dev/apps/a.yaml": "{"}
    files = {"clusters/dev/apps/b.yaml": config_map("x", "common")}
    assert rendered_moves.problems(stack, committed, files) == []
