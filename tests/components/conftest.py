"""A checkout for tests that run the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load
from fleet.identity import branch, cluster
from fleet.identity.reality import Branch, Cluster
from fleet.render import place
from tests.components.helpers import MANIFESTS
from tests.support import stack_file, write

UID = "8c2b3c9a-1f00-4a2e-9d11-0242ac120002"
BRANCH = Branch(repository="acme/platform", name="main", head="a" * 40)


def agreeing_cluster(*_: object) -> Cluster:
    """Return a cluster that follows the tree of the stack dev in the current folder."""
    here = place.of_stack(load.stack(Path.cwd(), "dev"))
    return Cluster(uid=UID, follows=here, pulled="b" * 40, installed_by_fleet=True)


@pytest.fixture
def agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the cluster and the branch agree with the stack dev."""
    monkeypatch.setattr(cluster, "read", agreeing_cluster)
    monkeypatch.setattr(branch, "read", lambda *_: BRANCH)
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
            "kubeconfig": "contexts: [{name: k3d-dev}, {name: k3d-prod}]\n",
        },
    )
    monkeypatch.chdir(checkout)
    return checkout
