"""Test the validation of objects, with the real kubeconform and schemas."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fleet.check import schemas
from fleet.check.run import Options, check_stacks
from fleet.config import load
from fleet.errors import CommandError, FleetError
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.objects import Objects
from fleet.kube import kustomize
from fleet.kube.manifest import Manifest
from tests.check.support import APPS, check, flux_kustomization
from tests.support import definition, manifest, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow


class TestObjects:
    @staticmethod
    def found(checkout: Path, text: str) -> str:
        (found,) = check(checkout, definition("apps/a", text), apps="a")
        return found

    def test_an_unknown_field(self, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "a", "common", "dat: {}\n")
        assert self.found(checkout, text) == (
            f"{APPS}: ConfigMap common/a: additional properties 'dat' not allowed"
        )

    def test_an_unknown_nested_field(self, checkout: Path) -> None:
        spec = (
            "spec:\n  replica: 2\n  selector: {matchLabels: {app: a}}\n"
            "  template:\n    metadata: {labels: {app: a}}\n"
            "    spec: {containers: [{name: a, imag: a}]}\n"
        )
        text = manifest("apps/v1", "Deployment", "a", "common", spec)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: Deployment common/a: spec.template.spec.containers.0: additional properties "
            "'imag' not allowed",
            f"{APPS}: Deployment common/a: spec: additional properties 'replica' not allowed",
        ]

    def test_a_wrong_type(self, checkout: Path) -> None:
        found = self.found(checkout, manifest("v1", "ConfigMap", "a", "common", "data: {a: 1}\n"))
        assert found.startswith(f"{APPS}: ConfigMap common/a: data.a: ")

    def test_a_missing_field(self, checkout: Path) -> None:
        text = manifest("apps/v1", "Deployment", "a", "common", "spec: {replicas: 1}\n")
        found = check(checkout, definition("apps/a", text), apps="a")
        assert found
        assert all(line.startswith(f"{APPS}: Deployment common/a: spec") for line in found)

    @pytest.mark.parametrize(
        ("api", "kind"),
        [
            ("v1", "Namespaces"),
            ("apps/v1beta1", "Deployment"),
            ("networking.k8s.io/v1", "Ingres"),
            ("kustomize.toolkit.fluxcd.io/v1beta1", "Kustomization"),
            ("policies.kyverno.io/v1", "ValidatingPolcy"),
        ],
    )
    def test_an_unknown_kind(self, api: str, kind: str, checkout: Path) -> None:
        found = check(checkout, definition("apps/a", manifest(api, kind, "a", "common")), apps="a")
        assert f"{APPS}: {kind} common/a: {api} has no kind {kind}; check apiVersion and kind" in (
            found
        )

    def test_a_flux_object(self, checkout: Path) -> None:
        text = flux_kustomization("a", "  dependOn: [{name: infra}]\n")
        found = self.found(checkout, text)
        assert found == (
            f"{APPS}: Kustomization flux-system/a: spec: additional properties 'dependOn' not "
            "allowed"
        )

    def test_a_kyverno_policy(self, checkout: Path) -> None:
        spec = (
            "spec:\n  validationActions: [Audit]\n"
            "  matchConstraints: {resourceRules: [{apiGroups: [''], resourcs: [pods]}]}\n"
        )
        text = manifest("policies.kyverno.io/v1", "ValidatingPolicy", "a", "", spec)
        found = self.found(checkout, text)
        assert found == (
            f"{APPS}: ValidatingPolicy a: spec.matchConstraints.resourceRules.0: "
            "additional properties 'resourcs' not allowed"
        )

    def test_a_kind_without_a_schema_is_counted(self, checkout: Path) -> None:
        """The report counts it, but it is not a finding."""
        (checkout / "Pulumi.prod.yaml").unlink()
        text = manifest("example.com/v1", "Thing", "a", "common", "spec: {a: '='}\n")
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
        write(checkout, definition("apps/a", text))
        stack = load.stack(checkout, "dev")
        report = check_stacks(checkout, [(stack, None)], lambda _: None)
        assert report.findings == []
        assert report.summary().endswith("no schema for 1 objects (example.com/v1 Thing)")

    def test_a_bare_equals_sign_is_a_text(self, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "a", "common", "data: {sign: =}\n")
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestBatches:
    """Several processes of kubeconform read many objects from a file each."""

    @staticmethod
    def config_map(name: str, **more: object) -> Manifest:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}

    @pytest.mark.parametrize("size", [1, 2, 3, 1000])
    def test_each_result_belongs_to_its_object(
        self, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schemas, "_MIN_BATCH", size)
        monkeypatch.setattr(schemas, "PROCESSORS", 1000 // size)
        items = [
            self.config_map("in-a-list", dat={}),
            self.config_map("another"),
            self.config_map("a-third", datb={}),
        ]
        found = [
            self.config_map("a"),
            self.config_map("b", dat={}),
            # kubeconform cannot read this character, so it knows neither kind nor name.
            self.config_map("c", data={"text": "\x7f"}),
            {"apiVersion": "v1", "kind": "List", "metadata": {"name": "d"}, "items": items},
            self.config_map("e", data={"text": "a\n---\nb"}),
            self.config_map("f", data={"number": 1}),
            {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "g"}},
        ]
        objects = [BuiltObject(path="apps", manifest=manifest) for manifest in found]
        validation = schemas.Validation(work=tmp_path, locations=schemas.locations([]))
        findings, without_schema = schemas.validate([Objects.of(objects)], validation)
        assert {(item.object, item.problem.partition(":")[0]) for item in findings} == {
            ("ConfigMap b", "additional properties 'dat' not allowed"),
            ("ConfigMap c", "error unmarshalling resource"),
            # Each item of a List has a problem of its own.
            ("List d", "additional properties 'dat' not allowed"),
            ("List d", "additional properties 'datb' not allowed"),
            ("ConfigMap f", "data.number"),
        }
        assert without_schema == {"example.com/v1 Thing": 1}


class TestNamedSchemas:
    """`--schemas` names other schemas than those of `fleet fetch`."""

    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Path:
        """A folder with the schema of one kind that no other schemas have."""
        spec = {"type": "object", "properties": {"a": {"type": "string"}}}
        schema = {"type": "object", "properties": {"spec": spec}}
        write(tmp_path / "http", {"example.com/thing_v1.json": json.dumps(schema)})
        return tmp_path / "http"

    @staticmethod
    def found(checkout: Path, *locations: str | Path) -> list[str]:
        text = manifest("example.com/v1", "Thing", "a", "common", "spec: {a: 1}\n")
        write(checkout, definition("apps/a", text))
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
        stack = load.stack(checkout, "dev")
        named = [str(location) for location in locations]
        report = check_stacks(
            checkout, [(stack, None)], lambda _: None, Options(schema_locations=named)
        )
        return [str(finding) for finding in report.findings]

    @pytest.mark.parametrize("layout", ["", "/", "/{{ .Group }}/{{ .ResourceKind }}_v1.json"])
    def test_a_folder_or_a_template(self, layout: str, checkout: Path, catalog: Path) -> None:
        (found,) = self.found(checkout, f"{catalog}{layout}", schemas.folder())
        assert found.startswith(f"{APPS}: Thing common/a: spec.a: ")

    def test_a_relative_folder_whose_name_begins_as_a_url(
        self, checkout: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(catalog.parent)
        (found,) = self.found(checkout.resolve(), catalog.name, schemas.folder())
        assert found.startswith(f"{APPS}: Thing common/a: spec.a: ")

    def test_the_schemas_of_fetch_are_not_needed(
        self, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = schemas.folder()
        programs = [kustomize.command()[0], schemas.kubeconform(), shutil.which("git") or ""]
        monkeypatch.setenv("PATH", os.pathsep.join(str(Path(name).parent) for name in programs))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
        assert self.found(checkout, made) == []

    @pytest.mark.parametrize(
        "location",
        ["nowhere", "http://schemas.example.com", "http://schemas.example.com/{{x}}.json"],
    )
    def test_neither_a_folder_nor_an_https_url(self, location: str) -> None:
        with pytest.raises(FleetError, match=r"^--schemas .*: is not a folder or an https URL; "):
            schemas.locations([location])

    def test_a_template_that_kubeconform_cannot_read(self, checkout: Path) -> None:
        with pytest.raises(FleetError, match=r"^kubeconform: no result .* /\{\{ x.json; name"):
            self.found(checkout, "/{{ x.json")


class TestPrograms:
    """A missing program is one error."""

    @pytest.fixture(autouse=True)
    def no_programs(self, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(empty_cache))

    def test_absent(self) -> None:
        with pytest.raises(
            CommandError, match=r"^kustomize: not found; put it .*`make check-tools`$"
        ):
            kustomize.command()
        with pytest.raises(
            CommandError, match=r"^kubeconform: not found; put it .*`make check-tools`$"
        ):
            schemas.kubeconform()
        with pytest.raises(CommandError, match=r"^JSON schemas: not found; run `fleet fetch`$"):
            schemas.folder()

    def test_kubectl_does_as_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "kubectl").write_text("#!/bin/sh\n")
        (tmp_path / "kubectl").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert kustomize.command() == [str(tmp_path / "kubectl"), "kustomize"]

    def test_a_program_that_make_tools_built(self, empty_cache: Path) -> None:
        built = empty_cache / "bin" / "kustomize"
        write(empty_cache, {"bin/kustomize": ""})
        assert kustomize.command() == [str(built), "build"]
