"""`fleet fetch`: output and exit codes. tests/sandbox has the tests of its downloads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleet.check import json_schemas
from fleet.config import load
from fleet.render import flux_release
from tests.flux_support import BOOTSTRAPPED
from tests.support import INSTALL_MANIFESTS, Ended, Run, helm_release, with_manifests, write


@pytest.fixture(autouse=True)
def made_schemas(empty_cache: Path) -> Path:
    """The folder of the schemas in an empty cache, as if they were made already."""
    folder = json_schemas.folder()
    assert folder.is_relative_to(empty_cache)
    folder.mkdir(parents=True)
    return folder


def test_a_local_file_is_only_verified(
    checkout: Path, empty_cache: Path, made_schemas: Path, fleet: Run
) -> None:
    with_manifests(checkout)
    ended = fleet("fetch", "--root", checkout)
    assert (ended.code, ended.err) == (0, "")
    where, pin, schemas = ended.out.splitlines()
    assert where == f"Flux v2.9.2: {checkout}/flux.yaml"
    assert re.fullmatch(r"pin it: fleet:flux\.sha256: [0-9a-f]{64}", pin)
    assert schemas == f"JSON schemas: {made_schemas}"
    assert not [path for path in empty_cache.rglob("*") if path.is_file()]


def test_a_pinned_file_needs_no_hint(checkout: Path, made_schemas: Path, fleet: Run) -> None:
    with_manifests(checkout)
    pin = fleet("fetch", "--root", checkout).out.splitlines()[1].rpartition(" ")[2]
    project = (checkout / "Pulumi.yaml").read_text()
    write(checkout, {"Pulumi.yaml": project.rstrip() + f"\n      sha256: {pin}\n"})
    ended = fleet("fetch", "--root", checkout)
    assert ended == Ended(
        0, f"Flux v2.9.2: {checkout}/flux.yaml\nJSON schemas: {made_schemas}\n", ""
    )


def test_a_missing_local_file(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    (checkout / "flux.yaml").unlink()
    ended = fleet("fetch", "--root", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert (
        ended.err
        == f"fleet:flux.manifests: {checkout}/flux.yaml does not exist; name another file\n"
    )


def test_a_release_in_the_cache(checkout: Path, empty_cache: Path, fleet: Run) -> None:
    """It is not downloaded again, and `fleet render` uses it."""
    flux = load.stack(checkout, "dev").config.flux
    path = flux_release.local_path(flux, checkout).relative_to(empty_cache).as_posix()
    write(empty_cache, {path: INSTALL_MANIFESTS})
    ended = fleet("fetch", "--root", checkout)
    assert ended.code == 0
    assert ended.out.startswith(f"Flux v2.9.2: {empty_cache}/{path}\n")
    assert "gotk-components.yaml\n# Generated" in fleet("render", "--root", checkout).out


def test_a_cache_that_cannot_be_written(
    checkout: Path, empty_cache: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.https.get", lambda _: INSTALL_MANIFESTS.encode())
    write(empty_cache, {"flux": "a file\n"})
    ended = fleet("fetch", "--root", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("/install.yaml: cannot be written: Not a directory\n")


def test_charts_of_a_flux_repository(tmp_path: Path, made_schemas: Path, fleet: Run) -> None:
    release = helm_release("app", "apps", "  values: {}\n")
    source = "url: oci://charts.example.com/chart, secretRef: {name: a}"
    private = release.replace("url: oci://charts.example.com/chart", source)
    write(tmp_path, {**BOOTSTRAPPED, "apps/base/app.yaml": private})
    ended = fleet("fetch", "--root", tmp_path)
    assert (ended.code, ended.out) == (0, f"JSON schemas: {made_schemas}\n")
    assert "oci://charts.example.com/chart" in ended.err


def test_a_root_without_any_flux(tmp_path: Path, fleet: Run) -> None:
    write(tmp_path, {"a.yaml": "kind: HelmRelease\n"})
    ended = fleet("fetch", "--root", tmp_path)
    assert ended.code == 1
    assert "has no Pulumi.<stack>.yaml of fleet, and no Kustomization" in ended.err
