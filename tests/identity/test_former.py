"""The judgement about a cluster that moves: which places it may follow, and which tree it left."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Stack
from fleet.identity import former, judge
from fleet.identity.reality import Branch, Cluster, Reality
from fleet.render import header, place_moves, tree
from fleet.render.place import Place
from tests.identity.test_judge import HERE, LEADS, OURS, A, B, judged, trees
from tests.support import stack_file, write

OLD = dataclasses.replace(HERE, path="clusters/old")
RELEASE = dataclasses.replace(HERE, branch="release")
BOTH = dataclasses.replace(OLD, branch="release")
SYNC = "clusters/{}/flux-system/gotk-sync.yaml"
KEY = "Pulumi.dev.yaml: fleet:cluster.movesFrom: "


def moving(checkout: Path, key: str, more: str = "") -> Stack:
    cluster = f", environment: dev, movesFrom: {{{key}}}"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more, cluster=cluster)})
    return load.stack(checkout, "dev")


@pytest.mark.parametrize(
    ("key", "accepted", "refused"),
    [
        ("stack: old", [HERE, OLD], [RELEASE, BOTH]),
        ("branch: release", [HERE, RELEASE], [OLD, BOTH]),
        # Flux may have changed one part and not the other.
        ("branch: release, stack: old", [HERE, OLD, RELEASE, BOTH], []),
    ],
)
def test_a_cluster_may_follow_the_place_that_it_moves_from(
    key: str, accepted: list[Place], refused: list[Place], checkout: Path
) -> None:
    stack = moving(checkout, key)
    elsewhere = [
        dataclasses.replace(HERE, path="clusters/prod"),
        dataclasses.replace(OLD, url="https://github.com/acme/other"),
    ]
    for place in accepted:
        assert judged(stack, dataclasses.replace(OURS, follows=place), trees()) == []
        claims = dataclasses.replace(OURS, follows=None, claim=str(place))
        assert judged(stack, claims, trees()) == []
    for place in (*refused, *elsewhere):
        assert len(judged(stack, dataclasses.replace(OURS, follows=place), trees())) == 1


def judged_move(stack: Stack, there: Branch, cluster: Cluster = OURS) -> list[str]:
    reality = Reality(cluster=cluster, branch=trees(), former=there)
    return judge.judge(reality, stack, [])


def test_the_former_tree_has_to_be_of_this_cluster(checkout: Path) -> None:
    stack = moving(checkout, "stack: old")
    there = trees(old=B)
    assert judged_move(stack, dataclasses.replace(there, identity=A)) == []
    assert judged_move(stack, dataclasses.replace(there, identity=B)) == [
        f"{KEY}clusters/old on main is for the cluster {B}, but 'k3d-dev' leads to the cluster "
        f"{A}; name the place that this one follows"
    ]
    assert judged_move(stack, dataclasses.replace(there, identity=None)) == [
        f"{KEY}clusters/old on main does not name its cluster, because an earlier version wrote "
        "it; run `pulumi up` there once with this version, and move then"
    ]
    # A former tree without an entrypoint was being removed, and leads nobody.
    del there.files["clusters/old/kustomization.yaml"]  # type: ignore[attr-defined]
    assert judged_move(stack, dataclasses.replace(there, identity=None)) == []


def test_a_tree_that_was_left_is_no_second_stack(checkout: Path) -> None:
    """Without the key, the tree is told by its sync, which is the one of the new tree."""
    both = trees(dev=A, old=A)
    assert judged(moving(checkout, "stack: old"), OURS, both) == []
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev")})
    stack = load.stack(checkout, "dev")
    assert len(judged(stack, OURS, both)) == 1
    files = {**both.files, SYNC.format("old"): both.files[SYNC.format("dev")]}
    assert judged(stack, OURS, dataclasses.replace(both, files=files)) == []
    # Its removal was interrupted.
    files = {**both.files}
    del files["clusters/old/kustomization.yaml"]
    assert judged(stack, OURS, dataclasses.replace(both, files=files)) == []


@pytest.mark.parametrize(
    ("applied", "arrived"),
    [
        ("main@sha1:" + "c" * 40, True),
        ("main@sha1:" + "d" * 40, False),
        ("release@sha1:" + "c" * 40, False),
        ("", False),
    ],
)
def test_a_move_ends_when_flux_has_applied_the_new_place(
    applied: str, arrived: bool, checkout: Path
) -> None:
    after = dataclasses.replace(OURS, pulled="c" * 40, applied=applied)
    before = Reality(cluster=OURS, branch=trees(), former=trees())
    found = judge.not_arrived(before, after, moving(checkout, "branch: release"), [])
    expected = (
        f"{LEADS}whose Flux has pulled the commit {'c' * 40} of {HERE} and has applied "
        f"{applied or 'nothing'}; run `pulumi up` again"
    )
    assert found == (None if arrived else expected)


@pytest.mark.parametrize("facts", ["", "  fleet:facts: {domain: a.test}\n"])
@pytest.mark.parametrize("key", ["stack: old", "branch: release"])
def test_a_tree_does_not_change_while_its_cluster_moves(
    key: str, facts: str, checkout: Path
) -> None:
    stack = moving(checkout, key, facts)
    before = place_moves.former_stack(stack)
    assert before is not None
    files = tree.render(stack, None)
    texts = {**tree.render(before, None), f"{before.path}/note.yaml": "somebody's own\n"}
    apps = f"{before.path}/apps/kustomization.yaml"
    (there,) = former.places(stack)

    def judged_with(texts: Mapping[str, str], follows: Place = there) -> list[str]:
        reality = Reality(
            cluster=dataclasses.replace(OURS, follows=follows),
            branch=trees(),
            former=dataclasses.replace(trees(), texts=texts),
        )
        return [*former.changes(reality, stack, files)]

    assert judged_with(texts) == []
    for path, text in texts.items():
        if "a.test" in text:
            other = header.body(text).replace("a.test", "b.test")
            assert judged_with({**texts, path: header.with_header(before.file, other)}) != []
    changed = {**texts, apps: header.with_header(before.file, "resources: []\n")}
    expected = (
        f"{KEY}clusters/dev/apps/kustomization.yaml differs from the tree that the cluster "
        f"follows, {before.path} on main; move the cluster first, and make the change in a later "
        "run"
    )
    assert judged_with(changed) == [expected]
    assert judged_with({path: text for path, text in texts.items() if path != apps}) == [expected]
    stale = {**texts, f"{before.path}/tenants.yaml": header.with_header(before.file, "kind: A\n")}
    assert len(judged_with(stale)) == 1
    # Once the cluster follows the new tree, it changes as usual.
    assert judged_with(changed, HERE) == []
