"""The tenants of a cluster, registered by the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.helpers import (
    DEPLOY_KEY,
    FILE,
    REPOSITORY_ON_GITHUB,
    SECRET,
    TEAM_REPOSITORY,
    TENANT,
    engine_config,
    run_program,
)
from tests.components.recording import Answer, Recording
from tests.support import stack_file, write

TENANTS = """\
  fleet:repository: {owner: acme, name: platform, knownHosts: github.com ssh-ed25519 A}
  fleet:tenants:
    - name: audit
      repository: {url: ssh://git@github.com/acme/audit}
      deployKey: 2
    - name: payments
      repository: {url: ssh://git@github.com/acme/payments}
      create: true
  fleet:deployKeySeed: {secure: c2VjcmV0}
"""


@pytest.fixture
def recording(here: Path) -> Recording:
    """Record a run with one tenant that has a repository and one that fleet creates it for."""
    write(here, {"Pulumi.dev.yaml": stack_file("dev", more=TENANTS)})
    values = engine_config(here) | {"github:token": "hunter2", "fleet:deployKeySeed": "x" * 44}
    return run_program(
        values, found={"getRepository": lambda _: {}, "getRepositoryFile": lambda _: {}}
    )


def test_a_repository_is_created_only_on_request(recording: Recording) -> None:
    assert [r.name for r in recording.all(TEAM_REPOSITORY)] == ["payments"]
    assert [r.name for r in recording.all(REPOSITORY_ON_GITHUB)] == ["payments"]
    assert sorted(r.name for r in recording.all(TENANT)) == ["audit", "payments"]


def test_a_deploy_key_waits_for_the_repository_that_it_is_for(recording: Recording) -> None:
    keys = {key.inputs["repository"]: key for key in recording.all(DEPLOY_KEY)}
    created = {"payments", "payments/deploy/README.md", "payments/deploy/dev/kustomization.yaml"}
    assert recording.before(keys["payments"]) >= created
    assert not recording.before(keys["audit"]) & created


def test_a_deploy_key_has_the_generation_of_the_stack_file(recording: Recording) -> None:
    titles = {key.inputs["repository"]: key.inputs["title"] for key in recording.all(DEPLOY_KEY)}
    assert titles == {"audit": "fleet: dev/audit 2", "payments": "fleet: dev/payments 1"}


def test_the_same_repository_of_another_owner_has_another_key(here: Path) -> None:
    """GitHub refuses a key that another repository has."""
    keys: list[str] = []
    for owner in ("acme", "other"):
        text = stack_file("dev", more=TENANTS.replace("acme", owner))
        write(here, {"Pulumi.dev.yaml": text})
        values = engine_config(here) | {"github:token": "hunter2", "fleet:deployKeySeed": "x" * 44}
        answers: dict[str, Answer] = {
            "getRepository": lambda _: {},
            "getRepositoryFile": lambda _: {},
        }
        keys += [key.inputs["key"] for key in run_program(values, found=answers).all(DEPLOY_KEY)]
    assert len(set(keys)) == 4


def test_the_private_key_exists_before_the_file_of_the_tenant(recording: Recording) -> None:
    for secret in recording.all(SECRET):
        assert secret.inputs["stringData"]["known_hosts"] == "github.com ssh-ed25519 A"
        tenant = secret.name.partition("/")[0]
        file = recording.one(FILE, f"clusters/dev/tenants/{tenant}/tenant.yaml")
        assert secret.name in recording.before(file)
