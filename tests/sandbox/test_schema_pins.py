"""Tests of the pins of the schemas' sources, against the Go modules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.check import json_schemas
from fleet.kube import schema_sources, yaml_reader
from sandbox.build import parts, public_sources, schema_pins
from sandbox.sandbox_error import SandboxError
from tests.support import write

pytestmark = pytest.mark.slow


def schemas_of(crd: bytes) -> object:
    """Return the schemas of a CRD, without its descriptions, which differ."""
    (document,) = yaml_reader.documents(crd)
    return list(json_schemas.from_crd(document))


def test_the_pins_are_those_of_the_modules() -> None:
    assert schema_pins.compute() == schema_sources.PINS.read_text(encoding="utf-8")


def test_every_project_is_pinned() -> None:
    paths = " ".join(file.path for file in schema_sources.pinned())
    for part in (
        "openapi-spec/swagger.json",
        "source.toolkit.fluxcd.io_",
        "kustomize.toolkit.fluxcd.io_",
        "helm.toolkit.fluxcd.io_",
        "notification.toolkit.fluxcd.io_",
        "/kyverno.io_",
        "policies.kyverno.io_",
        "gateway.networking.k8s.io_",
    ):
        assert part in paths


def test_kyvernos_chart_brings_the_crds_that_the_schemas_are_made_from() -> None:
    """The chart takes them from another repository, at the version that Kyverno requires."""
    module, _ = public_sources.KYVERNO_SUBCHARTS["kyverno-api"]
    in_chart = [
        schemas_of(path.read_bytes())
        for path in sorted((parts.source(module) / "config/crds").rglob("*.yaml"))
    ]
    assert in_chart == [
        schemas_of(schema_pins.read(file))
        for file in schema_sources.pinned()
        if "/policies.kyverno.io_" in file.path
    ]


def test_a_url_names_tag_and_file() -> None:
    file = schema_sources.pinned()[0]
    assert file.url == (
        "https://raw.githubusercontent.com/kubernetes/kubernetes/v1.36.2/"
        "api/openapi-spec/swagger.json"
    )


def test_a_file_that_is_not_as_pinned_is_refused() -> None:
    file = schema_sources.pinned()[-1]
    assert schema_pins.read(file)
    with pytest.raises(SandboxError, match=r"another checksum .*; run `make schema-pins`$"):
        schema_pins.read(replace(file, sha256="0" * 64))


def test_a_version_without_a_tag_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "source_version", lambda _: "v0.0.0-20260101000000-0123456789ab")
    with pytest.raises(SandboxError, match=r"is no tag on GitHub; pin a release$"):
        schema_pins.compute()


@pytest.mark.parametrize(
    "attributes",
    [
        "*.yaml text eol=crlf\n",
        "crds/** filter=lfs diff=lfs -text\n",
        "*\tident\n",
        "*.yaml working-tree-encoding=UTF-16\n",
    ],
)
@pytest.mark.parametrize("folder", ["", "crds/"])
def test_a_file_that_git_converts_is_refused(attributes: str, folder: str, tmp_path: Path) -> None:
    write(tmp_path, {"crds/a.yaml": "", f"{folder}.gitattributes": attributes})
    with pytest.raises(SandboxError, match=r"Git converts files on checkout, perhaps a\.yaml; "):
        schema_pins.require_same_bytes_on_github(tmp_path, tmp_path / "crds/a.yaml")


def test_other_attributes_are_accepted(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "", ".gitattributes": "* text=auto eol=lf\n* linguist-generated\n"})
    schema_pins.require_same_bytes_on_github(tmp_path, tmp_path / "a.yaml")
