"""Test the build of a folder of a tenant's repository, with the real kustomize."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.errors import FleetError
from tests.check.end_to_end import healthy_files
from tests.check.tenant_support import (
    FILE,
    FOLDER,
    UNCHECKED,
    WHERE,
    Files,
    check,
    folder,
    found,
    register,
    thing,
)
from tests.support import config_map, kustomization, manifest


class TestBuild:
    def test_a_healthy_tenant(self, checkout: Path) -> None:
        result = check(checkout, healthy_files())
        assert result.findings == []
        assert (result.checked, result.not_checked) == (1, [])
        assert [(built.path, built.display_name) for built in result.objects] == [
            (FILE, "ConfigMap billing-dev/app"),
            (FILE, "Deployment billing-dev/app"),
        ]

    def test_the_clone_is_left_as_it_is(self, checkout: Path) -> None:
        files = healthy_files() | {"app.sh": "echo\n"}
        del files[f"{FOLDER}/kustomization.yaml"]
        check(checkout, files)
        root = checkout.parent / "clones" / "billing-apps"
        left = {
            p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("*") if p.is_file()
        }
        assert left == files

    def test_the_path_is_missing(self, checkout: Path) -> None:
        assert found(checkout, {"deploy/test/kustomization.yaml": kustomization("a.yaml")}) == [
            "deploy/dev is not among the files that Flux fetches; add it, or ask the platform for "
            "another path"
        ]

    def test_the_path_is_a_symbolic_link(self, checkout: Path) -> None:
        files: Files = {"app/a.yaml": config_map("a", ""), FOLDER: Path("../app")}
        assert found(checkout, files) == [
            "deploy/dev is a symbolic link, which Flux leaves out; commit what it points to, or "
            "ask the platform for another path"
        ]

    def test_another_path(self, checkout: Path) -> None:
        register(checkout, more=", path: ./")
        result = check(checkout, {"a.yaml": config_map("a", "")})
        assert [(built.path, built.display_name) for built in result.objects] == [
            ("billing-apps", "ConfigMap billing-dev/a")
        ]

    def test_broken(self, checkout: Path) -> None:
        (said,) = found(checkout, folder("kind: ConfigMap\nmetadata: {name: a\n"))
        assert said.startswith("does not build: kustomize: exit 1: ")
        assert "all.yaml" in said
        assert str(checkout.parent) not in said
        assert "/fleet-tenants-" not in said

    def test_a_broken_kustomization(self, checkout: Path) -> None:
        (said,) = found(checkout, {f"{FOLDER}/kustomization.yaml": "resources: [a\n"})
        where = f"{FOLDER}/kustomization.yaml: {UNCHECKED}: kustomization.yaml"
        assert said.startswith(f"{where}: while parsing ")
        assert found(checkout, {f"{FOLDER}/kustomization.yaml": "- a\n"}) == [
            f"{where} is not one mapping; make it one"
        ]

    def test_a_kustomization_that_is_a_folder(self, checkout: Path) -> None:
        files = {f"{FOLDER}/kustomization.yaml/a.yaml": config_map("a", "")}
        assert found(checkout, files) == [
            "does not build: kustomization.yaml is not a file; make it one"
        ]

    @pytest.mark.parametrize(
        "broken",
        [
            "resources: " + "[" * 100_000,
            "resources: " + "[" * 3000 + "]" * 3000,
            "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000)),
            "a: &a [*a]\n",
            "a: !!bool maybe\n",
            "a: !!int ''\n",
            "a: " + "1:" * 300 + "1.0\n",
            "a: 0b_\n",
            b"\xff\xfe\0",
        ],
    )
    def test_no_file_ends_the_check(self, broken: str | bytes, checkout: Path) -> None:
        """Neither a kustomization nor the configuration of a plugin raises an error."""
        assert len(found(checkout, {f"{FOLDER}/kustomization.yaml": broken})) == 1
        files = {f"{FOLDER}/kustomization.yaml": "transformers: [a.yaml]\n"}
        assert len(found(checkout, {**files, f"{FOLDER}/a.yaml": broken})) == 1

    def test_a_manifest_too_deep(self, checkout: Path) -> None:
        """The output of kustomize is the tenant's content too."""
        deep = "[" * 3000 + "]" * 3000
        patch = manifest("v1", "ConfigMap", "a", "", f"a: {deep}\n")
        files = folder(config_map("a", ""), patches=[{"patch": patch}])
        (said,) = found(checkout, files)
        assert said == "does not build: kustomize's output: is nested more than 100 deep"

    def test_an_empty_namespace(self, checkout: Path) -> None:
        assert found(checkout, folder(config_map("a", ""), namespace="")) == []

    def test_a_component_without_api_version(self, checkout: Path) -> None:
        """Flux adds the apiVersion of a Kustomization."""
        (said,) = found(checkout, folder(config_map("a", ""), kind="Component"))
        assert "apiVersion for Component should be kustomize.config.k8s.io/v1alpha1" in said

    def test_keys_in_any_case(self, checkout: Path) -> None:
        """The case of keys makes no difference to kustomize."""
        files = folder(config_map("a", ""), Namespace="billing-dev", commonLabels={"A": "b"})
        result = check(checkout, files)
        assert result.findings == []
        assert [built.display_name for built in result.objects] == ["ConfigMap billing-dev/a"]

    def test_without_a_kustomization(self, checkout: Path) -> None:
        """Flux lists all files, and a folder with a kustomization of its own as one."""
        files = {
            f"{FOLDER}/a.yaml": config_map("a", ""),
            f"{FOLDER}/README.md": "# A\n",
            f"{FOLDER}/b/b.yml": config_map("b", ""),
            f"{FOLDER}/c/kustomization.yaml": kustomization("c.yaml"),
            f"{FOLDER}/c/c.yaml": config_map("c", ""),
            f"{FOLDER}/c/not-listed.yaml": config_map("d", ""),
        }
        result = check(checkout, files)
        assert result.findings == []
        assert [built.metadata["name"] for built in result.objects] == ["a", "b", "c"]

    @pytest.mark.parametrize("content", ["resources: []\n", "namespace: billing-dev\n"])
    def test_no_objects(self, content: str, checkout: Path) -> None:
        """An empty kustomization is valid; Flux removes the objects of an earlier commit."""
        result = check(checkout, {f"{FOLDER}/kustomization.yaml": content})
        assert (result.objects, result.findings) == ([], [])
        assert check(checkout, {f"{FOLDER}/kustomization.yaml": "", "a": ""}).findings == []

    def test_what_flux_does_not_fetch(self, checkout: Path) -> None:
        files: Files = {
            ".github/workflow.yaml": "on: push\n",
            "module/.git": "gitdir: elsewhere\n",
            "module/a.yaml": "broken",
            "cloudbuild.yaml": "steps: []\n",
            "link.yaml": Path("/etc/hostname"),
            "a.yaml": config_map("a", ""),
        }
        register(checkout, more=", path: ./")
        result = check(checkout, files)
        assert result.findings == []
        assert len(result.objects) == 1

    def test_a_base_within_the_repository(self, checkout: Path) -> None:
        files = {
            "base/kustomization.yaml": kustomization("a.yaml"),
            "base/a.yaml": config_map("a", ""),
            "config/a.txt": "a\n",
            f"{FOLDER}/kustomization.yaml": kustomization("../../base")
            + "configMapGenerator: [{name: b, files: [a=../../config/a.txt], literals: [c=//d]}]\n"
            + "commonLabels: {env: dev}\n",
        }
        result = check(checkout, files)
        assert result.findings == []
        assert len(result.objects) == 2

    def test_content_in_the_kustomization_itself(self, checkout: Path) -> None:
        labels = "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: a}\n"
        labels += "labels: {a: b}\nfieldSpecs: [{path: metadata/labels, create: true}]\n"
        inline = json.dumps({**thing("v1", "ConfigMap"), "data": {"key": "a" * 300}})
        files = folder(config_map("a", ""), transformers=[labels], patchesStrategicMerge=[inline])
        (built,) = check(checkout, files).objects
        assert built.metadata["labels"] == {"a": "b"}
        assert built.manifest["data"] == {"key": "a" * 300}

    def test_a_clone_that_cannot_be_read(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", "a.yaml")

        monkeypatch.setattr("shutil.copyfileobj", refuse)
        with pytest.raises(FleetError, match=r"billing-apps: cannot be read: .*Permission denied"):
            check(checkout, healthy_files())

    def test_a_date_is_a_text(self, checkout: Path) -> None:
        """Kubernetes reads dates as texts, also one that is not in the calendar."""
        text = manifest("v1", "ConfigMap", "a", "", "data: {a: 2026-99-99}\n")
        (built,) = check(checkout, folder(text)).objects
        assert built.manifest["data"] == {"a": "2026-99-99"}


class TestNamespaces:
    def test_of_an_object(self, checkout: Path) -> None:
        objects = [config_map("a", "billing-dev"), config_map("b", "flux-system")]
        result = check(checkout, folder(*objects))
        assert [built.display_name for built in result.objects] == [
            "ConfigMap billing-dev/a",
            "ConfigMap billing-dev/b",
        ]
        assert [str(finding) for finding in result.findings] == [
            f"{FILE}: ConfigMap flux-system/b: {WHERE}: names namespace flux-system; Flux puts it "
            "into billing-dev; remove metadata.namespace"
        ]

    def test_of_the_kustomization(self, checkout: Path) -> None:
        """The namespace is one finding, not one for each object."""
        files = folder(config_map("a", ""), config_map("b", ""), namespace="billing")
        assert found(checkout, files) == [
            "namespace: billing: Flux puts all objects into billing-dev instead; remove it"
        ]

    def test_two_that_become_one(self, checkout: Path) -> None:
        """The finding does not print the content of a Secret."""
        secret = manifest("v1", "Secret", "a", "one", "stringData: {a: hidden}\n")
        result = found(checkout, folder(secret, secret.replace("one", "billing-dev")))
        assert result == [
            "Secret one/a: has the name of Secret billing-dev/a, and Flux puts both into one "
            "namespace; remove or rename one",
            "Secret one/a: names namespace one; Flux puts it into billing-dev; remove "
            "metadata.namespace",
        ]

    def test_a_transformer_of_the_tenant_runs_after_flux(self, checkout: Path) -> None:
        transformer = (
            "apiVersion: builtin\nkind: NamespaceTransformer\n"
            "metadata: {name: a, namespace: flux-system}\n"
        )
        files = folder(config_map("a", ""), transformers=[transformer])
        assert found(checkout, files) == [
            "ConfigMap flux-system/a: is applied to namespace flux-system, where the tenant has no "
            "rights; keep it in billing-dev",
            "ConfigMap flux-system/a: names namespace flux-system; Flux puts it into billing-dev; "
            "remove metadata.namespace",
        ]
