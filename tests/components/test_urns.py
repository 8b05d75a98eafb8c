"""The URNs of the shipped dev stack: the engine replaces a resource that gets another URN."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import deploy_keys
from tests.components.helpers import MANIFESTS, engine_config, run_program
from tests.components.recording import Answer
from tests.support import FIXTURES, REPOSITORY, kubeconfig, write

SEED = "x" * 44
TENANTS = """\
  fleet:tenants:
    - {name: billing, repository: {url: https://github.com/your-user/billing}}
    - name: audit
      repository: {url: ssh://git@github.com/your-user/audit}
      deployKey: 1
    - name: payments
      repository: {url: ssh://git@github.com/your-user/payments}
      create: true
      githubTeam: payments-developers
  fleet:tenantCredentials:
    billing: {token: {secure: c2VjcmV0}}
  fleet:deployKeySeed: {secure: c2VjcmV0}
  fleet:pullToken: {secure: c2VjcmV0}
"""
SECRETS = {
    "github:token": "hunter2",
    "fleet:pullToken": "hunter2",
    "fleet:deployKeySeed": SEED,
    "fleet:tenantCredentials": json.dumps({"billing": {"token": "hunter2"}}),
}


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agreement: None) -> Path:
    """Return a checkout of the shipped dev stack, with a tenant of each kind."""
    for folder in ("apps", "infrastructure"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    project = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text(encoding="utf-8"))
    project["config"]["fleet:flux"]["value"]["manifests"] = "flux.yaml"
    project["config"]["fleet:repository"]["value"]["knownHosts"] = "github.com ssh-ed25519 A"
    write(
        tmp_path,
        {
            "Pulumi.yaml": yaml.safe_dump(project),
            "Pulumi.dev.yaml": (REPOSITORY / "Pulumi.dev.yaml").read_text(encoding="utf-8")
            + TENANTS,
            "flux.yaml": MANIFESTS,
            ".kube/config": kubeconfig("k3d-dev"),
        },
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys_on_github(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the deploy keys of a repository, as the first version of fleet made them."""
    name = request["repository"]
    key = deploy_keys.derive(SEED, cluster="dev", tenant=name, repository=name, generation=1)
    title = f"fleet: dev/{name} 1"
    return {"keys": [{"id": 1, "key": key.public, "title": title, "verified": True}]}


def test_no_urn_changes(shipped: Path) -> None:
    found: dict[str, Answer] = {
        "getRepository": lambda _: {"nodeId": "R_1"},
        "getRepositoryFile": lambda _: {},
        "getRepositoryDeployKeys": keys_on_github,
    }
    recording = run_program(engine_config(shipped) | SECRETS, found=found)
    urns = sorted(resource.urn for resource in recording.resources)
    expected = (FIXTURES / "urns.txt").read_text(encoding="utf-8").splitlines()
    assert urns == expected
