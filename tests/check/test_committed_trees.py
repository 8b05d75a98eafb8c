"""Test the comparison of committed trees with those that fleet makes now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.check import committed_trees
from fleet.check.committed_trees import CommittedTree
from fleet.config import load
from fleet.inventory import build, model
from fleet.inventory.build import ClusterBuild
from fleet.render import header, identity_file, tree
from fleet.render.tree_file import TreeFile
from tests.support import INSTALL_MANIFESTS, stack_file, write

TREE = "clusters/dev"
# Changes a text.
Edit = Callable[[str], str]


@pytest.fixture
def root(checkout: Path) -> Path:
    """A checkout with the stack dev and its tree."""
    (checkout / "Pulumi.prod.yaml").unlink()
    write(checkout, tree.render(load.stack(checkout, "dev"), INSTALL_MANIFESTS))
    return checkout


def differing(root: Path) -> list[CommittedTree]:
    """Return the trees that differ from those of the stack files as they are."""
    repository = build.Repository(
        root=root,
        copy=root,
        definitions=None,  # type: ignore[arg-type]
        entries=None,  # type: ignore[arg-type]
    )
    builds = []
    for stack in load.stacks(root):
        texts = tree.render(stack, None)
        files = {
            path: TreeFile(manifests=None, write=lambda text=text: text)  # type: ignore[misc]
            for path, text in texts.items()
        }
        cluster = ClusterBuild(repository=repository, tree=files, components=INSTALL_MANIFESTS)
        builds.append((stack, cluster))
    return committed_trees.read(root, builds)


def findings(root: Path) -> list[str]:
    """Return the first part of each finding."""
    trees = differing(root)
    found = [*committed_trees.edited(trees), *committed_trees.hand_written(trees)]
    return [str(finding).partition(";")[0] for finding in found]


def pending(root: Path) -> list[str]:
    return model.by_text(committed_trees.pending(differing(root)))


def edit(root: Path, path: str, change: Edit) -> None:
    file = root / TREE / path
    file.write_text(change(file.read_text()))


def test_a_tree_as_fleet_makes_it(root: Path) -> None:
    assert differing(root) == []


def test_a_cluster_without_a_tree(checkout: Path) -> None:
    assert (findings(checkout), pending(checkout)) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"{text}# a note\n",
        lambda text: text.replace("podinfo/overlays/dev", "podinfo/overlays/prod"),
        # Somebody removed the header, or its first line.
        header.body,
        lambda text: text.partition("\n")[2],
    ],
)
def test_a_file_that_was_edited_by_hand(change: Edit, root: Path) -> None:
    edit(root, "apps/kustomization.yaml", change)
    assert findings(root) == [
        f"{TREE}/apps/kustomization.yaml: was edited by hand, so `pulumi up` refuses it"
    ]
    assert pending(root) == []


def test_the_install_manifests_of_flux_count_too(root: Path) -> None:
    edit(root, "flux-system/gotk-components.yaml", lambda text: f"{text}# a note\n")
    (found,) = findings(root)
    assert found.startswith(f"{TREE}/flux-system/gotk-components.yaml: was edited by hand")


def test_the_identity_of_the_cluster_is_apart(root: Path) -> None:
    write(root, {identity_file.path(load.stack(root, "dev")): "uid: anything\n"})
    assert differing(root) == []


def test_a_tree_that_is_older_than_its_stack_file(root: Path) -> None:
    """It has the names of two apps, of which one comes and one goes."""
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="podinfo/base")})
    assert findings(root) == []
    assert pending(root) == [
        "dev: the committed tree is older than its stack file (apps/kustomization.yaml); "
        "`pulumi up -s <stack>` commits it"
    ]


def test_files_that_come_and_go(root: Path) -> None:
    facts = "  fleet:facts: {domain: a.example}\n"
    write(root, {"Pulumi.dev.yaml": stack_file("dev", more=facts)})
    (line,) = pending(root)
    assert "flux-system/cluster-facts.yaml" in line
    write(root, tree.render(load.stack(root, "dev"), INSTALL_MANIFESTS))
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})
    (line,) = pending(root)
    assert "flux-system/cluster-facts.yaml" in line
    assert findings(root) == []


def test_an_edit_of_a_tree_that_is_older(root: Path) -> None:
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="podinfo/base")})
    edit(root, "apps/kustomization.yaml", lambda text: f"{text}# a note\n")
    (found,) = findings(root)
    assert found.startswith(f"{TREE}/apps/kustomization.yaml: was edited by hand")


def test_a_file_that_somebody_removed(root: Path) -> None:
    (root / TREE / "apps.yaml").unlink()
    assert findings(root) == [
        f"{TREE}/apps.yaml: is in a list of its tree, and somebody removed it, so Flux fails"
    ]


@pytest.mark.parametrize("name", ["extra.yaml", "apps/extra.yml", "tenants/a/extra.yaml"])
def test_a_definition_inside_of_clusters(name: str, root: Path) -> None:
    write(root, {f"{TREE}/{name}": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"})
    assert findings(root) == [f"{TREE}/{name}: was not generated by fleet"]


def test_any_other_file_is_left_alone(root: Path) -> None:
    write(root, {f"{TREE}/README.md": "# A note\n"})
    assert differing(root) == []


def test_a_tree_of_a_version_without_checksums(root: Path) -> None:
    """Nobody can tell whether somebody edited it, so it is only older."""
    for file in (root / TREE).rglob("*.yaml"):
        first, _, rest = file.read_text().partition("\n")
        file.write_text(f"{first}\n{header.body(f'{first}{chr(10)}{rest}')}")
    assert findings(root) == []
    (line,) = pending(root)
    assert line.startswith("dev: the committed tree is older than its stack file (apps.yaml, ")


def test_many_trees_that_wait_for_the_same_are_one_line(root: Path) -> None:
    write(root, {"Pulumi.prod.yaml": stack_file("prod")})
    write(root, tree.render(load.stack(root, "prod"), INSTALL_MANIFESTS))
    for name in ("dev", "prod"):
        write(root, {f"Pulumi.{name}.yaml": stack_file(name, apps="podinfo/base")})
    (line,) = pending(root)
    assert line.startswith("dev, prod: the committed tree is older than its stack file (apps/")
