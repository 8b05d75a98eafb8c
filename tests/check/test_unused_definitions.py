"""Test the note about kustomizations that no cluster uses, with the real kustomize."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.check.support import flux_kustomization
from tests.support import (
    Run,
    config_map,
    definition,
    kustomization,
    stack_file,
    with_manifests,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

COMPONENT = (
    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {a: b}}]\n"
)


@pytest.fixture
def root(checkout: Path) -> Path:
    """A checkout with the stack dev alone."""
    (checkout / "Pulumi.prod.yaml").unlink()
    with_manifests(checkout)
    return checkout


def unused(root: Path, fleet: Run) -> set[str]:
    """Return the definitions of apps that no cluster uses, beside those of podinfo."""
    ended = fleet("check", "--root", root, "--json")
    assert ended.code == 0, ended.out
    (line,) = json.loads(ended.out)["notes"]
    names = line.removeprefix("no cluster uses these yet: ").split(", ")
    return {name for name in names if name.startswith("apps/") and "podinfo" not in name}


def test_a_base_and_a_component_are_used_by_an_overlay(root: Path, fleet: Run) -> None:
    overlay = f"{kustomization('../../base')}components: [../../../parts]\n"
    write(root, definition("apps/a/base", config_map("a", "common")))
    write(root, {"apps/a/overlays/dev/kustomization.yaml": overlay})
    write(root, {"apps/a/overlays/prod/kustomization.yaml": kustomization("../../base")})
    write(root, {"apps/parts/kustomization.yaml": COMPONENT})
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="a/overlays/dev")})
    assert unused(root, fleet) == {"apps/a/overlays/prod"}
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})
    assert unused(root, fleet) == {
        "apps/a/base", "apps/a/overlays/dev", "apps/a/overlays/prod", "apps/parts"
    }  # fmt: skip


@pytest.mark.parametrize("more", ["", "  fleet:definitions: rendered\n"])
def test_what_a_flux_kustomization_applies_is_used(more: str, root: Path, fleet: Run) -> None:
    write(root, definition("apps/a", flux_kustomization("b", "", path="./apps/b")))
    write(root, definition("apps/b", flux_kustomization("c", "", path="./apps/c")))
    write(root, definition("apps/c", config_map("c", "common")))
    write(root, definition("apps/d", config_map("d", "common")))
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="a", more=more)})
    assert unused(root, fleet) == {"apps/d"}


def test_a_file_of_a_folder_does_not_use_its_kustomization(root: Path, fleet: Run) -> None:
    write(root, definition("apps/a", config_map("a", "common")))
    write(root, {"apps/b/kustomization.yaml": kustomization("../a/resource.yaml")})
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps="b")})
    assert unused(root, fleet) == {"apps/a"}
