"""A context that leads to the cluster of another stack: nothing is written, nothing forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.e2e.sandbox import Sandbox, Tenant

CLUSTERS = ["dev", "prod"]
YES = ("--yes", "--skip-preview")
# The engine's own line, because `destroy` without the program would begin with the tree in Git.
WITHOUT_THE_PROGRAM = "You must run with the `--run-program` flag"


@pytest.fixture(scope="module", autouse=True)
def tenant(sandbox: Sandbox) -> Tenant:
    """Register a tenant whose Secret has the same name in both clusters."""
    tenant = Tenant(sandbox=sandbox, name="legacy", in_flux_system=True)
    tenant.create(CLUSTERS)
    for stack in CLUSTERS:
        sandbox.register(stack, tenant)
    sandbox.up(*CLUSTERS)
    # Otherwise the engine refuses to destroy, whatever cluster it is.
    sandbox.stacks.run_pulumi("state", "unprotect", "--all", "--yes", "--stack", "dev")
    return tenant


@contextmanager
def context_of_dev(sandbox: Sandbox, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Change the kubeconfig while the block runs."""
    file = sandbox.clusters.kubeconfig_file
    text = file.read_text()
    content = yaml.safe_load(text)
    change(content)
    file.write_text(yaml.safe_dump(content))
    try:
        yield
    finally:
        file.write_text(text)


def lead_to_prod(content: dict[str, Any]) -> None:
    """Point the context k3d-dev to prod's cluster and user."""
    contexts = {item["name"]: item["context"] for item in content["contexts"]}
    contexts["k3d-dev"] |= contexts["k3d-prod"]


def uid(sandbox: Sandbox, cluster: str) -> str:
    (found,) = (
        item["metadata"]["uid"]
        for item in sandbox.objects(cluster, "namespaces")
        if item["metadata"]["name"] == "kube-system"
    )
    return str(found)


def state(sandbox: Sandbox) -> Any:  # noqa: ANN401 - JSON
    """Return the resources of stack dev's state."""
    return json.loads(sandbox.stacks.run_pulumi("stack", "export", "--stack", "dev"))["deployment"][
        "resources"
    ]


def everything(sandbox: Sandbox) -> dict[str, Any]:
    """Return what a run of stack dev could change."""
    return {
        "head": sandbox.head(),
        "state": state(sandbox),
        **{cluster: sandbox.snapshot(cluster) for cluster in CLUSTERS},
    }


@pytest.mark.parametrize(
    "command",
    [
        ("preview",),
        ("preview", "--refresh=false"),
        ("up", *YES),
        ("up", *YES, "--refresh=false"),
        ("up", *YES, "--run-program"),
        ("refresh", *YES),
        ("refresh", *YES, "--run-program"),
        ("destroy", *YES),
        ("destroy", *YES, "--refresh=false"),
        ("destroy", *YES, "--run-program"),
        ("destroy", *YES, "--run-program", "--refresh=false"),
    ],
    ids=" ".join,
)
def test_nothing_changes(sandbox: Sandbox, command: tuple[str, ...]) -> None:
    before = everything(sandbox)
    with context_of_dev(sandbox, lead_to_prod):
        said = sandbox.stacks.run_pulumi(*command, "--stack", "dev", accept=(255,))
    assert everything(sandbox) == before
    if command[0] == "destroy" and "--run-program" not in command:
        assert WITHOUT_THE_PROGRAM in said
    else:
        dev, prod = (uid(sandbox, cluster) for cluster in CLUSTERS)
        assert f"leads to cluster {prod}, but stack dev is cluster {dev}" in said


def test_then_everything_is_the_same(sandbox: Sandbox) -> None:
    assert [outcome.changes.keys() for outcome in sandbox.up("dev")] == [{"same"}]
