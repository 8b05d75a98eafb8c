"""The program on a branch that has a tree already: the order of its commits, and its refusals."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pytest

from fleet.config import load
from fleet.identity import branch, cluster, inventories
from fleet.identity.inventories import Entry, Inventories
from fleet.identity.reality import Branch, Unreachable, blob_sha
from fleet.render import identity_file, tree
from fleet.render.moves import Delivery, Move
from tests.components.conftest import agreeing_branch
from tests.components.helpers import FILE, MANIFESTS, STACK, UID, engine_config, run_program
from tests.components.recording import Recording, run
from tests.support import REPOSITORY, config_map, definition, namespace, stack_file, write

LARGE = stack_file(
    "dev",
    infrastructure="namespaces/common policies/shared namespaces/team",
    apps="podinfo/overlays/dev team",
)
INFRA, APPS = (f"clusters/dev/{stage}/kustomization.yaml" for stage in ("infra", "apps"))
TEAM = Delivery(name="Namespace team", kustomization="flux-system/infra", is_pruned=True)


@pytest.fixture
def root(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose branch has the tree of a larger stack."""
    small = (here / "Pulumi.dev.yaml").read_text()
    write(here, definition("infrastructure/namespaces/team", namespace("team")))
    write(here, definition("apps/team", config_map("app", "team")))
    former = rendered(here, LARGE)
    now = rendered(here, small)
    monkeypatch.setattr(branch, "read", lambda *_: branch_with(former, now))
    monkeypatch.setattr(inventories, "entries", lambda _: [])
    monkeypatch.setattr(Inventories, "_get", lambda *_: {})
    return here


def rendered(root: Path, text: str) -> dict[str, str]:
    """Write the stack file and return its tree."""
    write(root, {"Pulumi.dev.yaml": text})
    stack = load.stack(root, "dev")
    return {
        **tree.render(stack, MANIFESTS),
        identity_file.path(stack): identity_file.text(UID),
    }


def branch_with(former: Mapping[str, str], now: Mapping[str, str]) -> Branch:
    """Return the branch as it is read: with the texts that are not as the run writes them."""
    pushed = agreeing_branch()
    return dataclasses.replace(
        pushed,
        files={**pushed.files, **{path: blob_sha(text) for path, text in former.items()}},
        texts={path: text for path, text in former.items() if now.get(path) != text},
        identity=UID,
    )


def recorded(root: Path, *, preview: bool = False) -> Recording:
    return run_program(engine_config(root) | {"github:token": "a"}, preview=preview)


@pytest.mark.parametrize("preview", [False, True])
def test_what_goes_goes_in_the_reverse_order(preview: bool, root: Path) -> None:
    """The branch says what goes, not the state of the engine, which may be lost."""
    recording = recorded(root, preview=preview)
    assert APPS in recording.before(recording.one(FILE, INFRA))


def test_a_move_that_could_lose_something_is_refused_before_anything_is_registered(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventories, "entries", lambda _: [Entry(delivery=TEAM)])
    write(root, definition("apps/podinfo/overlays/dev", namespace("team")))
    said: list[str] = []

    def program() -> None:
        with pytest.raises(pulumi.RunError) as refused:
            runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")
        said.append(str(refused.value))

    recording = run(program, values=engine_config(root) | {"github:token": "a"})
    move = Move(
        source="flux-system/infra",
        target="flux-system/apps",
        names=("Namespace team",),
        tenant="",
    )
    assert said == [f"Pulumi.dev.yaml: Namespace team: {move.problem}"]
    assert [resource.type for resource in recording.resources] == [STACK]


def test_a_tree_that_does_not_build_could_hide_a_move(root: Path) -> None:
    write(root, {"apps/podinfo/overlays/dev/kustomization.yaml": "resources: [nowhere.yaml]\n"})
    with pytest.raises(pulumi.RunError, match=r"nowhere\.yaml"):
        recorded(root)


def test_a_preview_that_reaches_no_cluster_reads_no_inventory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "read", lambda *_: Unreachable(reason="no answer"))
    monkeypatch.setattr(inventories, "entries", None)
    assert recorded(root, preview=True).all(FILE)
