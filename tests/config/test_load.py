"""Decisions are validated once, strictly: one fixture in `invalid/` for each rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.config import entry_rules, load, stack_files
from fleet.errors import ConfigError
from tests.support import FIXTURES, Ended, contents, stack_file, write

INVALID = sorted((FIXTURES / "invalid").glob("*.yaml"))


def without(text: str, key: str) -> str:
    """The stack file without the line of a key."""
    return "".join(line for line in text.splitlines(True) if not line.startswith(f"  fleet:{key}:"))


@pytest.mark.parametrize("fixture", INVALID, ids=lambda fixture: fixture.stem)
def test_invalid(fixture: Path, checkout: Path, fleet: Callable[..., Ended]) -> None:
    """A fixture is one file of a checkout; its leading comments say which, and what is told.

    `# file: NAME` names it (Pulumi.dev.yaml if absent), `# expect: LINE` is one line on standard
    error.
    """
    text = fixture.read_text(encoding="utf-8")
    comments = re.findall(r"^# (file|expect): (.*)$", text, re.MULTILINE)
    file = dict(comments).get("file", "Pulumi.dev.yaml")
    if file.startswith("Pulumi.dev."):
        (checkout / "Pulumi.dev.yaml").unlink()
    write(checkout, {file: text})
    before = contents(checkout)
    stack = "dev" if file == "Pulumi.yaml" else file.removeprefix("Pulumi.").rpartition(".")[0]

    ended = fleet("render", "--root", checkout, "--stack", stack, "--out", checkout / "out")

    assert ended.err.splitlines() == [line for key, line in comments if key == "expect"]
    assert (ended.code, ended.out) == (1, "")
    assert contents(checkout) == before
    assert "hunter2" not in ended.err


def test_not_utf8(checkout: Path, fleet: Callable[..., Ended]) -> None:
    (checkout / "Pulumi.dev.yaml").write_bytes(b"config: \xff\n")
    ended = fleet("render", "--root", checkout, "--stack", "dev")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "Pulumi.dev.yaml: is not UTF-8 text; save it as UTF-8\n"


def test_no_such_stack(checkout: Path, fleet: Callable[..., Ended]) -> None:
    ended = fleet("render", "--root", checkout, "--stack", "tset")
    assert ended.code == 1
    assert ended.err == f"Pulumi.tset.yaml: no such file in {checkout}; stacks here: dev, prod\n"


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_no_stack_at_all(folder: str, tmp_path: Path, fleet: Callable[..., Ended]) -> None:
    ended = fleet("render", "--root", tmp_path / folder)
    assert ended.code == 1
    assert (
        ended.err == f"{tmp_path / folder}: no Pulumi.<stack>.yaml here; add one for each cluster\n"
    )


def test_no_project_file(checkout: Path, fleet: Callable[..., Ended]) -> None:
    (checkout / "Pulumi.yaml").unlink()
    ended = fleet("render", "--root", checkout)
    assert ended.code == 1
    assert ended.err == (
        f"Pulumi.yaml: cannot be read: No such file or directory; it belongs in {checkout}\n"
    )


def test_all_problems_of_all_stacks_at_once(checkout: Path, fleet: Callable[..., Ended]) -> None:
    """Each is told once, also one of the shared file."""
    project = (checkout / "Pulumi.yaml").read_text()
    write(
        checkout,
        {
            "Pulumi.yaml": project.replace("v2.9.2", "latest"),
            "Pulumi.dev.yaml": stack_file("dev", apps="nothing/like-it"),
            "Pulumi.prod.yaml": without(stack_file("prod"), "apps"),
        },
    )
    assert fleet("render", "--root", checkout).err.splitlines() == [
        "Pulumi.yaml: fleet:flux.version: 'latest' must be a release, as v2.9.2",
        "Pulumi.dev.yaml: fleet:apps[0]: 'nothing/like-it' has no kustomization.yaml below apps/; "
        "there are: podinfo/base, podinfo/overlays/dev, podinfo/overlays/prod, "
        "podinfo/overlays/test",
        "Pulumi.prod.yaml: fleet:apps: missing; set it in this file",
    ]


def test_two_stacks_on_one_cluster_are_told_for_both(checkout: Path) -> None:
    text = stack_file("prod").replace("k3d-prod", "k3d-dev")
    write(checkout, {"Pulumi.prod.yaml": text})
    with pytest.raises(ConfigError) as caught:
        load.stacks(checkout)
    assert caught.value.problems == (
        "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' is also Pulumi.prod.yaml's; "
        "one cluster has one stack",
        "Pulumi.prod.yaml: fleet:cluster.context: 'k3d-dev' is also Pulumi.dev.yaml's; "
        "one cluster has one stack",
    )


def test_a_broken_stack_does_not_stop_another(checkout: Path) -> None:
    """Dev's owner is not kept from working by prod's typing error, but `load_all` is."""
    write(checkout, {"Pulumi.prod.yaml": "{"})
    assert load.stack(checkout, "dev").name == "dev"
    with pytest.raises(ConfigError, match="line 2: is not YAML"):
        load.stacks(checkout)


def test_shared_values_come_from_the_project(checkout: Path) -> None:
    config = load.stack(checkout, "dev").config
    assert (config.repository.owner, config.repository.name) == ("acme", "platform")
    assert config.repository.branch == "main"
    assert config.repository.pull_url == "https://github.com/acme/platform"
    assert config.repository.api_url == "https://api.github.com/"
    assert config.flux.version == "v2.9.2"
    assert config.pull_token is None


def test_a_stack_overrides_what_is_shared(checkout: Path) -> None:
    """As in the engine, a whole value: nothing is mixed from two files."""
    more = (
        "  fleet:flux: {version: v2.9.1}\n"
        "  fleet:repository: {owner: acme, name: other, url: 'ssh://git@example.com/acme/other'}\n"
    )
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    dev, prod = load.stacks(checkout)
    assert (dev.config.flux.version, prod.config.flux.version) == ("v2.9.1", "v2.9.2")
    assert dev.config.repository.pull_url == "ssh://git@example.com/acme/other"
    assert prod.config.repository.name == "platform"


def test_what_the_engine_and_providers_keep_in_a_stack_file_is_left_alone(checkout: Path) -> None:
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


def test_an_overlay_of_another_environment_with_a_reason(checkout: Path) -> None:
    text = stack_file("dev").replace(
        "podinfo/overlays/dev", "{path: podinfo/overlays/prod, because: prod's load test}"
    )
    write(checkout, {"Pulumi.dev.yaml": text})
    (entry,) = load.stack(checkout, "dev").config.apps
    assert (entry.path, entry.because) == ("podinfo/overlays/prod", "prod's load test")


def test_a_new_stack_file_is_all_that_a_cluster_takes(
    checkout: Path, fleet: Callable[..., Ended]
) -> None:
    name = "staging-eu-west-1"
    text = stack_file(name, apps="podinfo/overlays/test")
    text = text.replace("context:", "environment: test, context:")
    write(checkout, {f"Pulumi.{name}.yaml": text})

    assert stack_files.names(checkout) == ["dev", "prod", name]
    stack = load.stack(checkout, name)
    assert (stack.path, stack.environment) == (f"clusters/{name}", "test")
    assert fleet("render", "--root", checkout, "--out", checkout).code == 0
    assert (checkout / "clusters" / name / "kustomization.yaml").is_file()


@pytest.mark.parametrize(
    ("path", "environment", "other"),
    [
        ("podinfo/overlays/prod", "dev", "prod"),
        ("podinfo/overlays/dev", "dev", None),
        ("podinfo/overlays/prod/eu", "dev", "prod"),
        ("namespaces/test-only", "dev", "test"),
        ("namespaces/test-only", "test", None),
        ("policies/kyverno/test-only", "prod", "test"),
        ("namespaces/team-x", "dev", None),
        ("common", "prod", None),
        ("overlays", "prod", None),
    ],
)
def test_other_environment(path: str, environment: str, other: str | None) -> None:
    assert entry_rules.other_environment(path, environment) == other


@pytest.mark.parametrize("name", ["dev", "prod-us-east-1", "a", "a" * 63, "1"])
def test_stack_names_that_are_fine(name: str, checkout: Path) -> None:
    write(checkout, {f"Pulumi.{name}.yaml": stack_file(name, apps="podinfo/base")})
    assert load.stack(checkout, name).path == f"clusters/{name}"
