"""Test the validation of objects, with the real kubeconform and schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check import schemas
from fleet.check.run import check_stacks
from fleet.config import load
from fleet.errors import CommandError
from fleet.kube import kustomize
from tests.check.support import APPS, check, flux_kustomization
from tests.support import definition, manifest, stack_file, write


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


class TestPrograms:
    """A missing program is one error."""

    @pytest.fixture(autouse=True)
    def no_programs(self, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(empty_cache))

    def test_absent(self) -> None:
        with pytest.raises(CommandError, match=r"^kustomize: not found; put it .*`make tools`$"):
            kustomize.command()
        with pytest.raises(CommandError, match=r"^kubeconform: not found; put it .*`make tools`$"):
            schemas.kubeconform()
        with pytest.raises(CommandError, match=r"^JSON schemas: not found; run `make tools`$"):
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
