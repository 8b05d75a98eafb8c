"""`fleet check` says when a decision about a cluster's identity can go."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.render import identity_file
from tests.support import UNUSED, Run, stack_file, with_manifests, write

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
FILE = "clusters/dev/flux-system/cluster-identity.yaml"


@pytest.mark.parametrize(
    ("key", "uid", "identity", "done"),
    [
        # The cluster is rebuilt, but its tree does not say so yet.
        ("replaces", A, identity_file.text(A), False),
        ("replaces", A, identity_file.text(B), True),
        ("replaces", A, None, False),
        ("replaces", A, "uid: other\n", False),
        ("adopts", A, identity_file.text(A), True),
        ("adopts", A, identity_file.text(B), False),
        ("adopts", A, None, False),
    ],
)
def test_a_decision_that_has_done_its_work(
    key: str, uid: str, identity: str | None, done: bool, checkout: Path, fleet: Run
) -> None:
    with_manifests(checkout)
    text = stack_file("dev").replace("k3d-dev", f"k3d-dev, {key}: {uid}")
    write(checkout, {"Pulumi.dev.yaml": text} | ({FILE: identity} if identity else {}))
    ended = fleet("check", "--root", checkout)
    tree = B if key == "replaces" else A
    again = ", so that Flux prunes again what leaves the tree" if key == "adopts" else ""
    line = (
        f"Pulumi.dev.yaml: fleet:cluster.{key}: clusters/dev is for the cluster {tree}, so nothing "
        f"is left to do; remove the key{again}\n"
    )
    assert (ended.code, ended.err) == (0, (line if done else "") + UNUSED)


@pytest.mark.parametrize("key", ["replaces", "adopts"])
@pytest.mark.parametrize("uid", ["dev", "yes", A.upper(), f"{A} ", "7"])
def test_a_decision_names_a_uid(key: str, uid: str, checkout: Path, fleet: Run) -> None:
    text = stack_file("dev").replace("k3d-dev", f"k3d-dev, {key}: {uid!r}")
    write(checkout, {"Pulumi.dev.yaml": text})
    ended = fleet("check", "--root", checkout)
    assert ended.code == 1
    assert ended.err == (
        f"Pulumi.dev.yaml: fleet:cluster.{key}: {uid!r} must be the UID of a cluster's namespace "
        "kube-system\n"
    )
