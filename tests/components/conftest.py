"""A checkout for tests that run the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.kube import kubectl
from tests.components.helpers import MANIFESTS, UID
from tests.support import kubeconfig, stack_file, write


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    monkeypatch.setattr(kubectl, "cluster_uid", lambda kubeconfig, context: UID)
    return checkout
