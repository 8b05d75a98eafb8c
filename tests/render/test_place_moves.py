"""The place that a cluster moves from, and its tree there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Stack
from fleet.render import place_moves, tree
from tests.support import INSTALL_MANIFESTS, stack_file, write


def moving(checkout: Path, key: str) -> Stack:
    cluster = f", environment: dev, movesFrom: {{{key}}}" if key else ""
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", cluster=cluster)})
    return load.stack(checkout, "dev")


@pytest.mark.parametrize(
    ("key", "expected", "names"),
    [
        ("branch: release", ("release", "clusters/dev", "Pulumi.dev.yaml"), []),
        ("stack: old", ("main", "clusters/old", "Pulumi.old.yaml"), ["old"]),
        ("branch: a, stack: old", ("a", "clusters/old", "Pulumi.old.yaml"), ["old"]),
    ],
)
def test_the_former_stack(
    key: str, expected: tuple[str, ...], names: list[str], checkout: Path
) -> None:
    stack = moving(checkout, key)
    former = place_moves.former_stack(stack)
    assert former is not None
    assert (former.config.repository.branch, former.path, former.file) == expected
    assert former.environment == stack.environment
    assert place_moves.former_names(stack) == names


def test_a_cluster_that_stays(checkout: Path) -> None:
    stack = moving(checkout, "")
    assert place_moves.former_stack(stack) is None
    assert place_moves.former_names(stack) == []
    assert place_moves.former_tree(stack, {}, ["clusters/dev/kustomization.yaml"]) is None


def test_the_former_tree_leads_to_the_new_one(checkout: Path) -> None:
    """Files that are nobody's but a person's are left alone, and so is what is not there."""
    stack = moving(checkout, "stack: old")
    files = tree.render(stack, INSTALL_MANIFESTS)
    of_former = {path.replace("/dev/", "/old/") for path in files}
    absent = "clusters/old/infra.yaml"
    on_branch = (of_former - {absent}) | {"clusters/old/note.yaml", *files}
    former = place_moves.former_tree(stack, files, on_branch)
    assert former is not None
    assert {path for wave in former.waves for path in wave} == of_former - {absent}
    assert former.waves[-1] == ["clusters/old/kustomization.yaml"]
    assert former.branch == "main"
    assert former.redirect == "clusters/old/flux-system/gotk-sync.yaml"
    assert former.text == files["clusters/dev/flux-system/gotk-sync.yaml"]
    assert "path: ./clusters/dev\n" in former.text
    assert former.message == (
        "dev: flux-system/gotk-sync.yaml of clusters/old leads to clusters/dev of main"
    )


def test_a_tree_without_an_entrypoint_was_being_removed(checkout: Path) -> None:
    stack = moving(checkout, "stack: old")
    files = tree.render(stack, INSTALL_MANIFESTS)
    on_branch = {path.replace("/dev/", "/old/") for path in files}
    on_branch.remove("clusters/old/kustomization.yaml")
    assert place_moves.former_tree(stack, files, on_branch) is None
