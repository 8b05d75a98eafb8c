"""Tests of fleet/config/stack_files.py, beside tests/fixtures/invalid/{key,project,yaml}-*.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fleet.config import load, stack_files
from tests.support import Ended, stack_file, write


def test_not_utf8(checkout: Path, fleet: Callable[..., Ended]) -> None:
    (checkout / "Pulumi.dev.yaml").write_bytes(b"config: \xff\n")
    ended = fleet("render", "--root", checkout, "--stack", "dev")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "Pulumi.dev.yaml: is not UTF-8 text; save it as UTF-8\n"


def test_no_project_file(checkout: Path, fleet: Callable[..., Ended]) -> None:
    (checkout / "Pulumi.yaml").unlink()
    ended = fleet("render", "--root", checkout)
    assert ended.code == 1
    assert ended.err == (
        f"Pulumi.yaml: cannot be read: No such file or directory; add it to {checkout}\n"
    )


def test_keys_of_the_engine_and_of_providers_are_ignored(checkout: Path) -> None:
    more = "  github:token: {secure: abc}\n  fleet:pullToken: {secure: abc}\n"
    text = "encryptionsalt: v1:abc\n" + stack_file("dev", more=more)
    write(checkout, {"Pulumi.dev.yaml": text})
    assert load.stack(checkout, "dev").config.pull_token is not None


def test_yaml_anchors_and_merges(checkout: Path) -> None:
    text = (
        "config:\n"
        "  example:base: &base {kubeconfig: kubeconfig, context: none}\n"
        "  fleet:cluster: {<<: *base, context: k3d-dev}\n"
        "  fleet:infrastructure: []\n"
        "  fleet:apps: []\n"
    )
    write(checkout, {"Pulumi.dev.yaml": text})
    assert load.stack(checkout, "dev").config.cluster.context == "k3d-dev"


def test_a_file_that_cannot_be_read_has_no_values(checkout: Path) -> None:
    found = stack_files.own(checkout, "Pulumi.none.yaml")
    assert (found.file, found.values) == ("Pulumi.none.yaml", None)
    assert found.problems[0].startswith("Pulumi.none.yaml: cannot be read: ")


def test_the_values_of_a_stack_replace_those_of_the_project(checkout: Path) -> None:
    more = "  fleet:flux: {version: v2.9.1}\n"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    merged = stack_files.merged_by_engine(checkout, "Pulumi.dev.yaml")
    assert merged["flux"] == {"version": "v2.9.1"}
    assert merged["repository"] == {"owner": "acme", "name": "platform"}


def test_the_sandbox_keeps_every_secret() -> None:
    assert set(stack_files.SECRETS) == {
        "fleet:pullToken",
        "fleet:tenantCredentials",
        "fleet:deployKeySeed",
    }
