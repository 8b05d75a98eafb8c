"""Test the build of one cluster, with the real kustomize."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fleet.config.models import Stack
from fleet.render import tree
from fleet.render.rendered import Rendered
from fleet.render.tree_file import TreeFile
from tests.check.support import APPS, CRD, check, flux_kustomization
from tests.support import (
    config_map,
    contents,
    definition,
    git_repository,
    kustomization,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow


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
        text += "---\n" + git_repository("team-a", "flux-system")
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestPathsOutside:
    """Paths that lead out of the repository: Flux stays in it, and nothing is written outside."""

    @pytest.fixture(autouse=True)
    def outside(self, checkout: Path) -> Iterator[Path]:
        folder = checkout.parent / "outside"
        write(folder, {"a.yaml": config_map("a", "common")})
        before = contents(checkout.parent)
        yield folder
        after = contents(checkout.parent)
        assert {name for name in after if not name.startswith("checkout/")} == {
            name for name in before if not name.startswith("checkout/")
        }

    @pytest.mark.parametrize("form", ["{0}", "./../..{0}", ".{up}{0}", "../outside", "/{up}{0}"])
    def test_to_an_existing_folder(self, form: str, checkout: Path, outside: Path) -> None:
        path = form.format(outside, up="/.." * 30)
        files = definition("apps/a", flux_kustomization("a", "", path=path))
        assert check(checkout, files, apps="a") == [
            f"{APPS}: Kustomization flux-system/a: spec.path {path} does not exist for this "
            "cluster; correct it"
        ]

    def test_by_a_symbolic_link(self, checkout: Path, outside: Path) -> None:
        (checkout / "apps" / "link").symlink_to(outside)
        files = definition("apps/a", flux_kustomization("a", "", path="./apps/link"))
        (found,) = check(checkout, files, apps="a")
        assert found.endswith("spec.path ./apps/link does not exist for this cluster; correct it")

    @pytest.mark.parametrize("path", ["/apps/b", "../../apps/b", "//apps//b/", "apps/a/../b"])
    def test_back_into_the_repository(self, path: str, checkout: Path) -> None:
        """For Flux the root of the repository is the root of all paths."""
        files = definition("apps/a", flux_kustomization("a", "", path=path))
        files |= definition("apps/b", config_map("b", "nowhere"))
        (found,) = check(checkout, files, apps="a")
        assert found.startswith("apps/b: ConfigMap nowhere/b: namespace nowhere is not created")

    @pytest.mark.parametrize("path", ["a" * 5000, "a/" * 5000, '"a\\0b"', "kustomization.yaml"])
    def test_no_path(self, path: str, checkout: Path) -> None:
        files = definition("apps/a", flux_kustomization("a", "", path=path))
        (found,) = check(checkout, files, apps="a")
        assert found.endswith(" does not exist for this cluster; correct it")

    def test_an_import_by_a_kustomization(self, checkout: Path, outside: Path) -> None:
        files = {"apps/a/kustomization.yaml": kustomization(str(outside))}
        assert check(checkout, files, apps="a") == [
            f"apps/a/kustomization.yaml: resources: {outside}: is outside the repository, which "
            "Flux refuses; name a file or folder inside it"
        ]

    def test_the_names_of_a_crd(self, checkout: Path, outside: Path) -> None:
        """The schemas of CRDs are files that are named after their kinds."""
        (outside / "x").mkdir()
        text = CRD.replace("group: example.com", f"group: ../../../../../../..{outside}/x")
        files = definition("apps/a", text.replace("kind: Widget", "kind: ../Widget"))
        assert check(checkout, files, apps="a") == []


def test_a_generated_kustomization_is_not_part_of_other_builds(checkout: Path) -> None:
    """Flux generates one for a path, and kustomize refuses a base that has none."""
    files = {
        "apps/a/kustomization.yaml": kustomization("first.yaml", "second.yaml"),
        "apps/a/first.yaml": flux_kustomization("first", "", path="./apps/b"),
        "apps/a/second.yaml": flux_kustomization("second", "", path="./apps/c"),
        "apps/b/b.yaml": config_map("b", "common"),
        "apps/c/kustomization.yaml": kustomization("../b"),
    }
    (found,) = check(checkout, files, apps="a")
    assert found.startswith("apps/c: does not build: ")


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
        (found,) = (line for line in check(checkout, files, apps="a") if line.startswith("apps/"))
        assert found == (
            "apps/a/kustomization.yaml: resources: ../../clusters/prod/apps: is not part of this "
            "cluster; name a shared definition"
        )

    def test_a_stack_file_as_a_file_of_a_definition(self, checkout: Path) -> None:
        generator = "configMapGenerator:\n- {name: a, files: [../../Pulumi.dev.yaml]}\n"
        files = {"apps/a/kustomization.yaml": generator}
        (found,) = (line for line in check(checkout, files, apps="a") if line.startswith("apps/"))
        assert found == (
            "apps/a/kustomization.yaml: files: ../../Pulumi.dev.yaml: is not part of "
            "this cluster; name a shared definition"
        )

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

    @pytest.mark.parametrize(
        ("file", "more"),
        [
            ("logo.png", {}),
            ("logo.txt", {".gitignore": "*.txt\n"}),
            ("logo.txt", {".sourceignore": "*.txt\n"}),
            ("logo.txt", {"apps/a/.sourceignore": "/logo.txt\n"}),
        ],
    )
    def test_a_file_that_flux_does_not_fetch(
        self, file: str, more: Mapping[str, str], checkout: Path
    ) -> None:
        subprocess.run(["git", "init", "--quiet", checkout], check=True)
        generator = f"configMapGenerator: [{{name: a, namespace: common, files: [{file}]}}]\n"
        files = {"apps/a/kustomization.yaml": generator, f"apps/a/{file}": "content", **more}
        assert check(checkout, files, apps="a") == [
            f"apps/a/kustomization.yaml: files: {file}: is ignored by .gitignore, by "
            ".sourceignore or by Flux's defaults, so Flux does not fetch it; rename it or change "
            "the pattern"
        ]

    def test_a_symbolic_link(self, checkout: Path) -> None:
        write(checkout, {"apps/b/b.yaml": config_map("b", "common")})
        (checkout / "apps" / "a").mkdir()
        (checkout / "apps" / "a" / "link.yaml").symlink_to("../b/b.yaml")
        files = {"apps/a/kustomization.yaml": kustomization("link.yaml")}
        assert check(checkout, files, apps="a") == [
            "apps/a/kustomization.yaml: resources: link.yaml: is a symbolic link, which Flux "
            "leaves out; commit what it points to"
        ]

    def test_an_entry_that_is_a_symbolic_link(self, checkout: Path) -> None:
        (checkout / "apps" / "link").symlink_to("podinfo")
        (found,) = check(checkout, {}, apps="link/base")
        assert found.startswith(
            f"{APPS}/kustomization.yaml: resources: ../../../apps/link/base: is a symbolic link"
        )

    def test_a_file_of_another_definition(self, checkout: Path) -> None:
        """Flux allows it, although kustomize alone does not."""
        files = {
            "apps/a/kustomization.yaml": kustomization("../b/b.yaml"),
            "apps/b/b.yaml": config_map("b", "common"),
        }
        assert check(checkout, files, apps="a") == []

    def test_a_missing_resource(self, checkout: Path) -> None:
        files = {"apps/a/kustomization.yaml": kustomization("nothing.yaml")}
        assert check(checkout, files, apps="a") == [
            "apps/a/kustomization.yaml: resources: nothing.yaml: is not among the files that Flux "
            "fetches; add it"
        ]


def test_the_copy_that_is_checked_is_the_tree_that_is_committed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree is rendered once, so that the two cannot differ."""
    rendered: list[str] = []
    files = tree.files

    def record(stack: Stack, definitions: Rendered) -> dict[str, TreeFile]:
        rendered.append(stack.name)
        return files(stack, definitions)

    monkeypatch.setattr(tree, "files", record)
    assert check(checkout, {}) == []
    assert rendered == ["dev"]
