"""Test the build of one cluster, with the real kustomize."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fleet.config.models import Stack
from fleet.render import tree
from tests.check.support import APPS, check, flux_kustomization
from tests.support import config_map, definition, kustomization, stack_file


class TestFluxPaths:
    def test_a_flux_path_in_a_definition_is_built_too(self, checkout: Path) -> None:
        """The build follows the Flux Kustomizations in shared definitions."""
        files = definition("apps/a", flux_kustomization("a", "", path="./apps/b"))
        files |= definition("apps/b", config_map("b", "nowhere"))
        (found,) = check(checkout, files, apps="a")
        assert found.startswith("apps/b: ConfigMap nowhere/b: namespace nowhere is not created")

    def test_a_flux_path_that_does_not_exist(self, checkout: Path) -> None:
        files = definition("apps/a", flux_kustomization("a", "", path="./apps/b"))
        assert check(checkout, files, apps="a") == [
            f"{APPS}: Kustomization flux-system/a: spec.path ./apps/b does not exist for this "
            "cluster; correct it"
        ]

    def test_a_flux_path_of_another_repository_is_not_built(self, checkout: Path) -> None:
        text = flux_kustomization("a", "", path="./deploy").replace(
            "name: flux-system}", "name: team-a}"
        )
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestFiles:
    def test_the_same_object_twice_in_one_list(self, checkout: Path) -> None:
        (found,) = check(checkout, {}, apps="podinfo/base podinfo/overlays/dev")
        assert found.startswith(f"{APPS}: does not build: kustomize: exit 1: ")
        assert "podinfo" in found

    def test_an_import_of_another_clusters_folder(self, checkout: Path) -> None:
        """The checkout has that folder, but the copy of this cluster does not."""
        files = {
            "apps/a/kustomization.yaml": kustomization("../../clusters/prod/apps"),
            "clusters/prod/apps/kustomization.yaml": kustomization(),
            "Pulumi.prod.yaml": stack_file("prod"),
        }
        found = [line for line in check(checkout, files, apps="a") if line.startswith(APPS)]
        assert len(found) == 1
        assert found[0].startswith(f"{APPS}: does not build: ")
        assert "clusters/prod/apps" in found[0]

    def test_broken_yaml(self, checkout: Path) -> None:
        files = definition("apps/a", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\n")
        (found,) = check(checkout, files, apps="a")
        assert found.startswith(f"{APPS}: does not build: ")
        assert "'apps/a'" in found
        assert "resource.yaml" in found
        assert "\n" not in found
        assert tempfile.gettempdir() not in found

    def test_a_broken_file_that_no_cluster_uses(self, checkout: Path) -> None:
        files = {"apps/a/draft.yaml": "{", "apps/a/odd.yaml": "kind: Namespace\nmetadata: odd\n"}
        files["apps/b/kustomization.yaml"] = "resources: 1\n"
        assert check(checkout, files) == []

    def test_a_missing_resource(self, checkout: Path) -> None:
        files = {"apps/a/kustomization.yaml": kustomization("nothing.yaml")}
        (found,) = check(checkout, files, apps="a")
        assert found.startswith(f"{APPS}: does not build: ")
        assert "nothing.yaml" in found


def test_the_copy_that_is_checked_is_the_tree_that_is_committed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree is rendered once, so that the two cannot differ."""
    rendered: list[str] = []
    render = tree.render

    def record(stack: Stack, components: str | None) -> dict[str, str]:
        rendered.append(stack.name)
        return render(stack, components)

    monkeypatch.setattr(tree, "render", record)
    assert check(checkout, {}) == []
    assert rendered == ["dev"]
