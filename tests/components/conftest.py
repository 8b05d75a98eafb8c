"""A checkout for tests that run the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import definitions, load
from fleet.identity import branch, cluster, offboarding
from fleet.identity.reality import Branch, Cluster, blob_sha
from fleet.render import place
from tests.components.helpers import MANIFESTS, UID
from tests.support import kubeconfig, stack_file, write


def agreeing_cluster(*_: object) -> Cluster:
    """Return a cluster that follows the tree of the stack dev in the current folder."""
    here = place.of_stack(load.stack(Path.cwd(), "dev"))
    commit = "b" * 40
    applied = f"{here.branch}@sha1:{commit}"
    return Cluster(uid=UID, follows=here, pulled=commit, applied=applied, installed_by_fleet=True)


def agreeing_branch(*_: object) -> Branch:
    """Return a branch with the definitions of the current folder and no tree."""
    return Branch(
        repository="acme/platform",
        name="main",
        head="a" * 40,
        files={
            path.relative_to(Path.cwd()).as_posix(): blob_sha(path.read_bytes())
            for path in definitions.yaml_files(Path.cwd())
        },
    )


@pytest.fixture
def agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the cluster and the branch agree with the stack dev."""
    monkeypatch.setattr(cluster, "read", agreeing_cluster)
    monkeypatch.setattr(branch, "read", agreeing_branch)
    monkeypatch.setattr(offboarding, "read", lambda *_: [])
    # The mocked provider tells no commits.
    monkeypatch.setattr(branch, "commits_since", lambda *_: {None})


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch, agreement: None) -> Path:
    """Make the checkout one that the program accepts, and the current folder."""
    project = (checkout / "Pulumi.yaml").read_text()
    project = project.replace("v2.9.2\n", "v2.9.2\n      manifests: flux.yaml\n")
    policies = "namespaces/common policies/shared"
    write(
        checkout,
        {
            "Pulumi.yaml": project,
            "Pulumi.dev.yaml": stack_file("dev", infrastructure=policies),
            "flux.yaml": MANIFESTS,
            "kubeconfig": kubeconfig("k3d-dev", "k3d-prod"),
        },
    )
    monkeypatch.chdir(checkout)
    return checkout
