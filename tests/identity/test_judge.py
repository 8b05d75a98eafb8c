"""The refusals: realities in, lines out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.config import load
from fleet.config.models import Stack
from fleet.identity import judge
from fleet.identity.reality import Branch, Cluster, Reality, Unreachable, blob_sha
from fleet.render import header, identity_file
from fleet.render.place import Place
from tests.support import stack_file, write

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
URL = "https://github.com/acme/platform"
HERE = Place(url=URL, branch="main", path="clusters/dev")
PROD = dataclasses.replace(HERE, path="clusters/prod")
OURS = Cluster(uid=A, follows=HERE, claim=str(HERE), installed_by_fleet=True,
               controllers=("flux-system",))  # fmt: skip
EMPTY = Cluster(uid=A)
ENTRYPOINT = "clusters/dev/kustomization.yaml"
APPS = "clusters/dev/apps.yaml"
IDENTITY = "clusters/dev/flux-system/cluster-identity.yaml"
LEADS = f"Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' leads to the cluster {A}, "


@pytest.fixture
def stack(checkout: Path) -> Stack:
    return load.stack(checkout, "dev")


def with_key(checkout: Path, key: str, uid: str) -> Stack:
    text = stack_file("dev").replace("context: k3d-dev", f"context: k3d-dev, {key}: {uid}")
    write(checkout, {"Pulumi.dev.yaml": text})
    return load.stack(checkout, "dev")


def branch(identity: str | None = None, texts: Mapping[str, str] | None = None) -> Branch:
    """Return a branch with a tree for a cluster, some of whose files are not as generated."""
    files = {path: blob_sha(text) for path, text in (texts or {}).items()}
    if identity:
        files[IDENTITY] = blob_sha(identity_file.text(identity))
    return Branch(repository="acme/platform", name="main", head="f" * 40,
                  files=files, texts=texts or {}, identity=identity)  # fmt: skip


def judged(stack: Stack, cluster: Cluster | Unreachable, of: Branch) -> list[str]:
    return judge.judge(Reality(cluster=cluster, branch=of), stack, [ENTRYPOINT, APPS])


@pytest.mark.parametrize(
    ("cluster", "identity"),
    [
        (EMPTY, None),  # a new cluster
        (EMPTY, A),  # its first `up` was interrupted before Flux was there
        (OURS, A),
        (OURS, None),  # earlier versions wrote no identity, and a destroyed stack has none
        # Its first `up` was interrupted while Flux was installed.
        (dataclasses.replace(OURS, follows=None), A),
        (dataclasses.replace(OURS, follows=None, controllers=()), A),
        (dataclasses.replace(OURS, follows=dataclasses.replace(HERE, path="")), A),
        # Earlier versions made no annotation.
        (dataclasses.replace(OURS, claim=""), A),
        # The same repository has many URLs.
        (dataclasses.replace(OURS, follows=dataclasses.replace(HERE, url=f"{URL}.git/")), A),
        (dataclasses.replace(OURS, follows=dataclasses.replace(
            HERE, url="ssh://git@github.com/Acme/platform")), A),
        (Unreachable(reason="no route"), A),
        (Unreachable(reason="no route"), B),
    ],
)  # fmt: skip
def test_both_sides_agree(
    stack: Stack, cluster: Cluster | Unreachable, identity: str | None
) -> None:
    assert judged(stack, cluster, branch(identity)) == []


@pytest.mark.parametrize(
    ("cluster", "identity", "expected"),
    [
        (
            dataclasses.replace(OURS, follows=PROD, claim=str(PROD)),
            B,
            f"which follows clusters/prod of {URL} at main, but clusters/dev on main is for the "
            f"cluster {B}; name the context of that one",
        ),
        (
            EMPTY,
            B,
            f"but clusters/dev on main is for the cluster {B}; correct the context, or set "
            f"fleet:cluster.replaces: {B} if it was rebuilt",
        ),
        (
            OURS,
            B,
            f"but clusters/dev on main is for the cluster {B}; correct the context, or set "
            f"fleet:cluster.replaces: {B} if it was rebuilt",
        ),
        *(
            (
                cluster,
                identity,
                f"which follows {place}, but this stack is clusters/dev of {URL} at main; "
                f"to take it over, set fleet:cluster.adopts: {A}",
            )
            for place in (
                dataclasses.replace(HERE, url="https://github.com/acme/other"),
                dataclasses.replace(HERE, url="https://github.com/other/platform"),
                dataclasses.replace(HERE, url="https://git.example.com/acme/platform"),
            )
            for cluster, identity in (
                (dataclasses.replace(OURS, follows=place), None),
                (dataclasses.replace(OURS, follows=place), A),
                # An `up` of another stack was interrupted.
                (dataclasses.replace(OURS, follows=None, claim=str(place)), None),
            )
        ),
        *(
            (
                dataclasses.replace(OURS, follows=place, claim=str(place)),
                identity,
                f"which follows {place}, but this stack is clusters/dev of {URL} at main; correct "
                f"the context, or set fleet:cluster.movesFrom: {{{key}}} to move the cluster from "
                "there",
            )
            for place, key in (
                (PROD, "stack: prod"),
                (dataclasses.replace(HERE, branch="release"), "branch: release"),
                (dataclasses.replace(PROD, branch="release"), "branch: release, stack: prod"),
            )
            for identity in (None, A)
        ),
        *(
            (
                cluster,
                None,
                "which has a Flux in flux-system that fleet did not install; "
                f"to take it over, set fleet:cluster.adopts: {A}",
            )
            for cluster in (
                # `flux bootstrap` with the same repository, branch and path
                Cluster(uid=A, follows=HERE, controllers=("flux-system",)),
                Cluster(uid=A, follows=HERE),
                Cluster(uid=A, controllers=("flux-system",)),
            )
        ),
        (
            Cluster(uid=A, controllers=("gitops",)),
            None,
            "which has another Flux in the namespace gitops; remove it with `flux uninstall "
            "--namespace gitops`, which leaves what it applied",
        ),
        (
            Cluster(uid=A, operators=("flux-system/flux",)),
            None,
            "which has the FluxInstance flux-system/flux, which installs another Flux; delete it, "
            "which leaves what Flux applied",
        ),
    ],
)  # fmt: skip
def test_a_cluster_is_refused(
    stack: Stack, cluster: Cluster, identity: str | None, expected: str
) -> None:
    assert judged(stack, cluster, branch(identity)) == [LEADS + expected]


def trees(**uids: str) -> Branch:
    """Return a branch with a whole tree for each of these stacks, and the UIDs in them."""
    files: dict[str, str] = {}
    for name, uid in uids.items():
        files |= {
            f"clusters/{name}/flux-system/cluster-identity.yaml": blob_sha(identity_file.text(uid)),
            f"clusters/{name}/flux-system/gotk-sync.yaml": blob_sha(name),
            f"clusters/{name}/kustomization.yaml": blob_sha(name),
        }
    return dataclasses.replace(branch(), files=files, identity=uids.get("dev"))


def test_two_stacks_that_are_one_cluster(stack: Stack) -> None:
    """It is the clearest reason, so the other ones are not told."""
    for cluster in (OURS, dataclasses.replace(OURS, follows=PROD)):
        assert judged(stack, cluster, trees(prod=A)) == [
            f"{LEADS}which is also the cluster of clusters/prod on main; keep one stack for each "
            "cluster, or set fleet:cluster.movesFrom: {stack: prod} if the stack was renamed"
        ]
    assert judged(stack, OURS, trees(prod=B)) == []


def test_a_rebuilt_cluster_is_accepted_once(checkout: Path) -> None:
    stack = with_key(checkout, "replaces", B)
    assert judged(stack, EMPTY, branch(B)) == []
    assert judged(stack, OURS, branch(A)) == []
    # Another cluster in its place needs another decision.
    again = judged(stack, dataclasses.replace(EMPTY, uid=B[:-1] + "3"), branch(A))
    assert len(again) == 1
    assert again[0].endswith(f"set fleet:cluster.replaces: {A} if it was rebuilt")
    # It accepts neither another place nor another Flux.
    for cluster in (dataclasses.replace(OURS, follows=PROD),
                    Cluster(uid=A, controllers=("flux-system",))):  # fmt: skip
        (found,) = judged(stack, cluster, branch(B))
        assert "fleet:cluster.adopts" in found or "fleet:cluster.movesFrom" in found


def test_a_cluster_is_adopted_by_its_uid(checkout: Path) -> None:
    foreign = (
        Cluster(uid=A, controllers=("flux-system",)),
        dataclasses.replace(OURS, follows=PROD),
    )
    for cluster in foreign:
        of_another = with_key(checkout, "adopts", B)
        assert len(judged(of_another, cluster, branch())) == 1
        assert not judge.takes_over(Reality(cluster=cluster, branch=branch()), of_another)
        stack = with_key(checkout, "adopts", A)
        assert judged(stack, cluster, branch()) == []
        assert judge.takes_over(Reality(cluster=cluster, branch=branch()), stack)
        # The tree of another cluster and a second Flux are no question of adoption.
        assert len(judged(stack, cluster, branch(B))) == 1
        twice = dataclasses.replace(cluster, controllers=("flux-system", "gitops"))
        assert len(judged(stack, twice, branch())) == 1


def test_what_the_tree_would_prune_is_no_part_of_an_adoption(checkout: Path) -> None:
    """A Kustomization of the same name gets the tree's path, and prunes what is not there."""
    others = {"apps": "apps/production", "other": "other", "policies": "policies"}
    cluster = dataclasses.replace(OURS, follows=PROD, kustomizations=others)
    assert judged(with_key(checkout, "adopts", A), cluster, branch()) == [
        f"{LEADS}which has a Kustomization flux-system/apps of apps/production, and the tree's of "
        "the same name would prune what it applied; set spec.prune: false in it and delete it"
    ]
    # An interrupted adoption has the tree's own, and without the key there is nothing to prune.
    own = dataclasses.replace(cluster, kustomizations={"apps": "clusters/dev/apps"})
    assert judged(with_key(checkout, "adopts", A), own, branch()) == []
    here = dataclasses.replace(OURS, kustomizations=others)
    assert judged(with_key(checkout, "replaces", B), here, branch()) == []


def test_a_root_kustomization_that_changes_what_it_applies_is_not_adopted(checkout: Path) -> None:
    cluster = dataclasses.replace(
        OURS, follows=PROD, changing_fields=("patches", "targetNamespace")
    )
    assert judged(with_key(checkout, "adopts", A), cluster, branch()) == [
        f"{LEADS}which has a root Kustomization that changes what it applies by spec.patches, "
        "spec.targetNamespace; suspend it and remove that: kubectl --kubeconfig kubeconfig "
        "--context k3d-dev -n flux-system patch "
        "kustomization flux-system --type=merge "
        """-p='{"spec":{"suspend":true,"patches":null,"targetNamespace":null}}'"""
    ]
    here = dataclasses.replace(OURS, changing_fields=("patches",))
    assert judged(with_key(checkout, "replaces", B), here, branch()) == []


def edited(text: str) -> str:
    return text.replace("kind: A", "kind: B")


GENERATED = header.with_header("Pulumi.dev.yaml", "kind: A\n")
OF_EARLIER_VERSION = header.first_line("Pulumi.dev.yaml") + "kind: A\n"
HAND_EDIT = (
    f"{APPS}: was edited on main, because its text is not the one that its header has the "
    "checksum of; run `fleet render --out .`, review the difference, commit and push it"
)


@pytest.mark.parametrize(
    "texts",
    [
        # A tree that `fleet render` wrote, and one that an interrupted run has written in part
        {APPS: GENERATED},
        {APPS: GENERATED, ENTRYPOINT: GENERATED},
        # A tree of an earlier version, and an interrupted run that gives it checksums
        {APPS: OF_EARLIER_VERSION, ENTRYPOINT: OF_EARLIER_VERSION},
        {APPS: GENERATED, ENTRYPOINT: OF_EARLIER_VERSION},
        {APPS: OF_EARLIER_VERSION},
        # Files of the user's own, and stale files of fleet's
        {"clusters/dev/note.yaml": "kind: A\n", "clusters/dev/policies.yaml": GENERATED},
    ],
)
def test_a_generated_tree_is_no_hand_edit(stack: Stack, texts: Mapping[str, str]) -> None:
    assert judged(stack, OURS, branch(A, texts)) == []


@pytest.mark.parametrize(
    "texts",
    [
        {APPS: edited(GENERATED)},
        {APPS: edited(GENERATED), ENTRYPOINT: OF_EARLIER_VERSION},
        {APPS: "kind: A\n"},
        {APPS: ""},
        {APPS: header.with_header("Pulumi.prod.yaml", "kind: A\n")},
        # With checksums everywhere else, a missing one was removed.
        {APPS: OF_EARLIER_VERSION, ENTRYPOINT: GENERATED},
    ],
)
def test_a_hand_edit_is_refused(stack: Stack, texts: Mapping[str, str]) -> None:
    assert judged(stack, OURS, branch(A, texts)) == [HAND_EDIT]
    # It is told also when the cluster cannot be reached.
    assert judged(stack, Unreachable(reason="no route"), branch(A, texts)) == [HAND_EDIT]


def test_a_stale_file_that_was_edited_is_refused(stack: Stack) -> None:
    path = "clusters/dev/policies.yaml"
    (found,) = judged(stack, OURS, branch(A, {path: edited(GENERATED)}))
    assert found.startswith(f"{path}: was edited on main, ")


def test_an_unchanged_entrypoint_has_a_checksum(stack: Stack) -> None:
    """The entrypoint has no text here when it is as it will be written."""
    of = dataclasses.replace(
        branch(A, {APPS: OF_EARLIER_VERSION}), files={APPS: "0", ENTRYPOINT: "1"}, identity=None
    )
    assert judged(stack, OURS, of) == [HAND_EDIT]


def test_an_edited_identity_file_is_refused(stack: Stack) -> None:
    of = dataclasses.replace(branch(A), identity=None)
    assert judged(stack, OURS, of) == [
        f"{IDENTITY}: was edited on main, so its cluster is not known; restore the file"
    ]


def test_a_missing_branch_is_refused(stack: Stack) -> None:
    of = Branch(repository="acme/platform", name="main")
    assert judged(stack, OURS, of) == [
        "Pulumi.dev.yaml: fleet:repository.branch: 'main' does not exist in acme/platform, or "
        "github:token does not reach that repository; create the branch and push it, or give the "
        "token access"
    ]


def test_a_cluster_that_cannot_be_reached(stack: Stack) -> None:
    assert judge.unverified(Unreachable(reason="no route"), stack) == (
        "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' cannot be reached, so its identity is "
        "not verified: no route; repair the connection and run the same command again"
    )


PULLED = dataclasses.replace(OURS, pulled="c" * 40)


@pytest.mark.parametrize(
    ("after", "missing", "expected"),
    [
        (PULLED, [], None),
        (
            PULLED,
            ["d" * 40],
            f"{LEADS}whose Flux has pulled the commit {'c' * 40}, which does not contain "
            f"{'d' * 40} of this run; run `pulumi up` again",
        ),
        (
            dataclasses.replace(PULLED, follows=PROD),
            [],
            f"{LEADS}which follows {PROD} after this run, and not {HERE}; run `pulumi up` again",
        ),
        (
            dataclasses.replace(PULLED, follows=None),
            [],
            f"{LEADS}which follows nothing after this run, and not {HERE}; run `pulumi up` again",
        ),
        (
            dataclasses.replace(PULLED, uid=B),
            [],
            LEADS.replace(A, B).removesuffix(", ")
            + f" now, and led to {A} before; run `pulumi up` again",
        ),
    ],
)
def test_the_end_of_a_run(
    stack: Stack, after: Cluster, missing: list[str], expected: str | None
) -> None:
    before: Any = Reality(cluster=OURS, branch=branch(A))
    assert judge.not_arrived(before, after, stack, missing) == expected


def test_a_cluster_that_is_gone_at_the_end(stack: Stack) -> None:
    gone = Unreachable(reason="no route")
    found = judge.not_arrived(Reality(cluster=OURS, branch=branch(A)), gone, stack, [])
    assert found == judge.unverified(gone, stack)
