"""A context that leads to the cluster of another stack: nothing is written, nothing forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from components.cluster_connection import DESTROY_HOOK
from tests.e2e.rebuilding import uid
from tests.e2e.sandbox import Sandbox, Tenant

pytestmark = pytest.mark.long
CLUSTERS = ["dev", "prod"]
MINUTES = 6
YES = ("--yes", "--skip-preview", "--color", "never")
DESTROY = ("destroy", *YES, "--ignore-protect")
FAILED = (1, 255)


@pytest.fixture(scope="module", autouse=True)
def tenant(sandbox: Sandbox) -> None:
    """Register a tenant whose Secret has the same name in both clusters."""
    tenant = Tenant(sandbox=sandbox, name="legacy", in_flux_system=True)
    tenant.create(CLUSTERS)
    for stack in CLUSTERS:
        sandbox.register(stack, tenant)
    sandbox.up(*CLUSTERS)
    for cluster in CLUSTERS:
        tenant.expect_app(cluster, "1")


@contextmanager
def changed_kubeconfig(
    sandbox: Sandbox, change: Callable[[dict[str, Any]], None]
) -> Iterator[None]:
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


def swap(content: dict[str, Any]) -> None:
    """Make the context k3d-dev lead to prod's cluster, as prod's user, and the other way round."""
    dev, prod = content["contexts"]
    dev["context"], prod["context"] = prod["context"], dev["context"]


def reach_by_name(content: dict[str, Any]) -> None:
    """Change the address of each cluster to another one of the same server."""
    for item in content["clusters"]:
        server = item["cluster"]["server"]
        item["cluster"]["server"] = server.replace("127.0.0.1", "localhost")


def everything(sandbox: Sandbox) -> dict[str, Any]:
    """Return what a run of stack dev could change."""
    return {
        "head": sandbox.head(),
        "state": sandbox.resources("dev"),
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
        DESTROY,
        (*DESTROY, "--refresh=false"),
        (*DESTROY, "--run-program"),
        (*DESTROY, "--run-program", "--refresh=false"),
    ],
    ids=" ".join,
)
def test_nothing_changes(sandbox: Sandbox, command: tuple[str, ...]) -> None:
    """The command says why, with and without a refresh, with and without the program.

    Without the program, `destroy` would begin with the tree in Git, so the engine refuses. A
    `refresh` leaves every object of the state as it was, with a warning, and then succeeds.
    """
    only_warns = command[0] == "refresh" and "--run-program" not in command
    before = everything(sandbox)
    with changed_kubeconfig(sandbox, swap):
        accept = (0,) if only_warns else FAILED
        said = sandbox.stacks.run_pulumi(*command, "--stack", "dev", accept=accept)
    assert everything(sandbox) == before
    if command[0] == "destroy" and "--run-program" not in command:
        assert f"the program is not running. Hooks: {DESTROY_HOOK}" in said
    else:
        assert f"'k3d-dev' leads to the cluster {uid(sandbox, 'prod')}" in plain(sandbox, said)
        assert f"is for the cluster {uid(sandbox, 'dev')}; " in said


def plain(sandbox: Sandbox, said: str) -> str:
    """Return the output without the path of the kubeconfig."""
    return said.replace(f" in {sandbox.clusters.kubeconfig_file}", "")


def test_then_everything_is_the_same(sandbox: Sandbox) -> None:
    assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]


def test_another_address_of_the_cluster(sandbox: Sandbox) -> None:
    """The address is in the state, so the refresh reaches the cluster only after the program."""
    snapshots = {cluster: sandbox.snapshot(cluster) for cluster in CLUSTERS}
    for options, warned in (((), True), (("--run-program",), False)):
        with changed_kubeconfig(sandbox, reach_by_name):
            said = sandbox.stacks.run_pulumi("up", *YES, *options, "--stack", "dev")
            assert ("run `pulumi up --run-program -s dev`" in said) == warned
            assert "pulumi:providers:kubernetes dev updated" in said
            assert "1 updated" in said
            assert [outcome.unchanged for outcome in sandbox.up("dev")] == [True]
        said = sandbox.stacks.run_pulumi("up", *YES, *options, "--stack", "dev")
        assert "1 updated" in said
    assert {cluster: sandbox.snapshot(cluster) for cluster in CLUSTERS} == snapshots
