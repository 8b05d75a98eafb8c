"""The distance between a rendered tree and its definitions, and the check of a rendered stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import Run, config_map, definition, stack_file, with_manifests, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

DEFINITIONS = "  fleet:definitions: rendered\n"


@pytest.fixture
def root(checkout: Path, fleet: Run) -> Path:
    """A checkout with the stack dev and its tree, which is not behind."""
    (checkout / "Pulumi.prod.yaml").unlink()
    with_manifests(checkout)
    set_apps(checkout, "a b", dict.fromkeys(("a", "b"), ("a", "b")))
    assert fleet("render", "--root", checkout, "--out", checkout).code == 0
    return checkout


def set_apps(root: Path, apps: str, names: Mapping[str, tuple[str, ...]]) -> None:
    """Write the stack file and each app, which has ConfigMaps with these names."""
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps=apps, more=DEFINITIONS)})
    for app, found in names.items():
        texts = [config_map(f"{app}-{name}", "common") for name in found]
        write(root, definition(f"apps/{app}", "---\n".join(texts)))


def behind(root: Path, fleet: Run, findings: int = 0) -> list[str]:
    """Return the trees that `fleet check` names beside its findings."""
    ended = fleet("check", "--root", root)
    assert ended.out.endswith(f" {findings} findings\n")
    return [line for line in ended.err.splitlines() if not line.startswith("no cluster uses")]


def test_a_tree_that_is_not_behind(root: Path, fleet: Run) -> None:
    assert behind(root, fleet) == []


def test_a_tree_that_is_behind(root: Path, fleet: Run) -> None:
    set_apps(root, "a b", {"a": ("a", "c")})
    text = (root / "apps/b/resource.yaml").read_text().replace("value", "other", 1)
    write(root, {"apps/b/resource.yaml": text})
    line = (
        "clusters/dev: is behind its definitions in 3 of 6 objects (ConfigMap common/b-a changes, "
        "ConfigMap common/a-c comes, ConfigMap common/a-b goes); `pulumi up -s dev` commits it"
    )
    assert behind(root, fleet) == [line]
    ended = fleet("check", "--root", root, "--json")
    assert json.loads(ended.out)["behind"] == [line]


def test_many_objects_are_counted(root: Path, fleet: Run) -> None:
    set_apps(root, "a b", {"a": ("a", "b", *map(str, range(7)))})
    (line,) = behind(root, fleet)
    assert "in 7 of 12 objects" in line
    assert "ConfigMap common/a-4 comes and 2 more); " in line


def test_an_object_that_moves_to_another_file_is_not_behind(root: Path, fleet: Run) -> None:
    (root / "clusters/dev/apps/a.yaml").rename(root / "clusters/dev/apps/c.yaml")
    (line,) = behind(root, fleet, findings=1)
    assert line.startswith("dev: the committed tree is older than its stack file (apps/c.yaml); ")


def test_a_tree_that_is_not_rendered_yet(root: Path, fleet: Run) -> None:
    for file in (root / "clusters/dev").rglob("*.yaml"):
        file.unlink()
    assert behind(root, fleet) == [
        "clusters/dev: is not rendered yet in this checkout; `pulumi up -s dev` commits it"
    ]


def test_a_broken_file_is_behind(root: Path, fleet: Run) -> None:
    (root / "clusters/dev/apps/a.yaml").write_text("{")
    (line,) = behind(root, fleet, findings=1)
    assert "in 2 of 5 objects (ConfigMap common/a-a comes, " in line


def test_a_referenced_tree_is_never_behind(root: Path, fleet: Run) -> None:
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="a b")})
    (line,) = behind(root, fleet)
    assert line.startswith("dev: the committed tree is older than its stack file (apps/a.yaml, ")


def test_a_cluster_that_cannot_be_rendered_is_a_finding(root: Path, fleet: Run) -> None:
    write(root, {"apps/a/kustomization.yaml": "resources: [missing.yaml]\n"})
    ended = fleet("check", "--root", root, "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["findings"] == [
        {
            "file": "apps/a/kustomization.yaml",
            "object": "",
            "problem": "resources: missing.yaml: is not among the files that Flux fetches; add it",
            "rule": "build",
            "source": {"file": "apps/a/kustomization.yaml", "line": 1},
        }
    ]


def test_the_rules_hold_for_rendered_objects(root: Path, fleet: Run) -> None:
    write(root, definition("apps/a", config_map("a", "nowhere")))
    ended = fleet("check", "--root", root)
    assert ended.code == 1
    assert ended.out.startswith("clusters/dev/apps: ConfigMap nowhere/a: namespace nowhere is not ")


def test_an_object_that_moves_between_two_files(root: Path, fleet: Run) -> None:
    """Files are committed one by one, so Flux would delete it or refuse to build the stage."""
    write(root, definition("apps/a", config_map("a-a", "common")))
    texts = [config_map(name, "common") for name in ("b-a", "b-b", "a-b")]
    write(root, definition("apps/b", "---\n".join(texts)))
    ended = fleet("check", "--root", root)
    assert ended.code == 1
    move = (
        "ConfigMap common/a-b would move from clusters/dev/apps/a.yaml to clusters/dev/apps/b.yaml"
    )
    assert f"Pulumi.dev.yaml: {move} in two commits" in ended.out
