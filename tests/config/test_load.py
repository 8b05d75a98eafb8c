"""Tests of fleet/config/load.py; every rule has a file in tests/fixtures/invalid."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.config import load, stack_files
from fleet.errors import ConfigError
from tests.support import FIXTURES, Ended, contents, stack_file, write

INVALID = sorted((FIXTURES / "invalid").glob("*.yaml"))


def without(text: str, key: str) -> str:
    """Return a stack file without the line of a key."""
    return "".join(line for line in text.splitlines(True) if not line.startswith(f"  fleet:{key}:"))


@pytest.mark.parametrize("fixture", INVALID, ids=lambda fixture: fixture.stem)
def test_invalid(fixture: Path, checkout: Path, fleet: Callable[..., Ended]) -> None:
    """A fixture is one file of a checkout, and comments at its beginning.

    `# file: NAME` is the file's name, Pulumi.dev.yaml if absent. `# expect: LINE` is one line of
    standard error.
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


def test_all_problems_of_all_stacks_at_once(checkout: Path, fleet: Callable[..., Ended]) -> None:
    """Each problem has one line, also one of the shared file."""
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
        "Pulumi.yaml: fleet:flux.version: 'latest' must be a release, such as v2.9.2",
        "Pulumi.dev.yaml: fleet:apps[0]: 'nothing/like-it' has no kustomization.yaml below apps/; "
        "choose one of podinfo/base, podinfo/overlays/dev, podinfo/overlays/prod, "
        "podinfo/overlays/test",
        "Pulumi.prod.yaml: fleet:apps: missing; set it in this file",
    ]


def test_a_folder_with_a_line_break_is_not_suggested(checkout: Path) -> None:
    write(
        checkout,
        {
            "apps/a\nb/kustomization.yaml": "resources: []\n",
            "Pulumi.dev.yaml": stack_file("dev", apps="zzz"),
        },
    )
    with pytest.raises(ConfigError) as caught:
        load.stack(checkout, "dev")
    (problem,) = caught.value.problems
    assert problem.isprintable()


def test_a_namespace_whose_name_is_no_text_is_none(checkout: Path) -> None:
    """Aliases in a name could stand for more text than fits into memory."""
    levels = "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
    )
    text = f"a0: &a0 [x]\n{levels}kind: Namespace\nmetadata: {{name: *a29}}\n"
    write(checkout, {"infrastructure/namespaces/common/bomb.yaml": text})
    assert load.stack(checkout, "dev").name == "dev"


def test_two_stacks_on_one_cluster_are_a_problem_of_both(checkout: Path) -> None:
    text = stack_file("prod").replace("k3d-prod", "k3d-dev")
    write(checkout, {"Pulumi.prod.yaml": text})
    with pytest.raises(ConfigError) as caught:
        load.stacks(checkout)
    assert caught.value.problems == (
        "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' is also the cluster of "
        "Pulumi.prod.yaml; keep one stack for each cluster",
        "Pulumi.prod.yaml: fleet:cluster.context: 'k3d-dev' is also the cluster of "
        "Pulumi.dev.yaml; keep one stack for each cluster",
    )


def test_a_broken_stack_does_not_stop_another(checkout: Path) -> None:
    """The stack dev loads although prod is broken; loading all stacks fails."""
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


def test_a_stack_overrides_a_shared_value(checkout: Path) -> None:
    """A stack replaces a whole value, as in Pulumi's engine; two files are never merged."""
    more = (
        "  fleet:flux: {version: v2.9.1}\n"
        "  fleet:repository: {owner: acme, name: other, url: 'ssh://git@example.com/acme/other'}\n"
    )
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    dev, prod = load.stacks(checkout)
    assert (dev.config.flux.version, prod.config.flux.version) == ("v2.9.1", "v2.9.2")
    assert dev.config.repository.pull_url == "ssh://git@example.com/acme/other"
    assert prod.config.repository.name == "platform"


def test_a_new_cluster_needs_only_a_stack_file(checkout: Path, fleet: Callable[..., Ended]) -> None:
    name = "staging-eu-west-1"
    text = stack_file(name, apps="podinfo/overlays/test")
    text = text.replace("context:", "environment: test, context:")
    write(checkout, {f"Pulumi.{name}.yaml": text})

    assert stack_files.names(checkout) == ["dev", "prod", name]
    stack = load.stack(checkout, name)
    assert (stack.path, stack.environment) == (f"clusters/{name}", "test")
    assert fleet("render", "--root", checkout, "--out", checkout).code == 0
    assert (checkout / "clusters" / name / "kustomization.yaml").is_file()


@pytest.mark.parametrize("name", ["dev", "prod-us-east-1", "a", "a" * 63, "1"])
def test_stack_names_that_are_fine(name: str, checkout: Path) -> None:
    write(checkout, {f"Pulumi.{name}.yaml": stack_file(name, apps="podinfo/base")})
    assert load.stack(checkout, name).path == f"clusters/{name}"
