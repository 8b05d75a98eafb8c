"""Test the command `fleet check --tenants`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.check.end_to_end import healthy_files
from tests.check.tenant_support import FILE, WHERE, clone, folder, register, thing
from tests.support import UNUSED, Run, config_map, manifest, with_manifests

# These tests run programs or servers.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def registered(checkout: Path) -> None:
    with_manifests(checkout)
    register(checkout)


def test_nothing_found(checkout: Path, fleet: Run) -> None:
    ended = fleet("check", "--root", checkout, "--tenants", clone(checkout, healthy_files()))
    assert (ended.code, ended.err) == (0, UNUSED)
    clusters, tenants, _, findings = ended.out.split(", ")
    assert (clusters, tenants, findings) == ("2 clusters", "1 tenants", "0 findings\n")


def test_without_the_option_nothing_is_different(checkout: Path, fleet: Run) -> None:
    clone(checkout, folder("broken"))
    ended = fleet("check", "--root", checkout, "--json")
    assert (ended.code, ended.err) == (0, UNUSED)
    assert set(json.loads(ended.out)) == {
        "clusters",
        "objects",
        "findings",
        "accepted",
        "behind",
        "notes",
        "withoutSchema",
    }


def test_findings(checkout: Path, fleet: Run) -> None:
    """The command prints also the findings of schemas, and always in the same order."""
    objects: list[Mapping[str, Any] | str] = [
        thing("v1", "Namespace", "b"),
        manifest("v1", "ConfigMap", "a", "", "dat: {}\n"),
    ]
    clones = clone(checkout, folder(*objects))
    args = ("check", "--root", checkout, "--tenants", clones)
    ended = fleet(*args)
    assert (ended.code, ended.err) == (1, UNUSED)
    assert ended.out.splitlines()[:-1] == [
        f"{FILE}: ConfigMap billing-dev/a: additional properties 'dat' not allowed",
        f"{FILE}: Namespace billing-dev: {WHERE}: namespaces are reserved for the platform; "
        "remove it",
    ]
    assert ended.out.endswith(" 2 findings\n")
    assert fleet(*args) == ended


def test_json(checkout: Path, fleet: Run) -> None:
    clones = clone(checkout, folder(config_map("a", "b")))
    ended = fleet("check", "--root", checkout, "--tenants", clones, "--json")
    assert (ended.code, ended.err) == (1, UNUSED)
    report = json.loads(ended.out)
    assert (report["teams"], report["notChecked"]) == (1, [])
    (finding,) = report["findings"]
    assert (finding["file"], finding["object"]) == (FILE, "ConfigMap b/a")


def test_no_clone(checkout: Path, tmp_path: Path, fleet: Run) -> None:
    """Standard error and the JSON name the tenant; it is not a finding."""
    line = f"billing: no clone in {tmp_path}/billing-apps, not checked"
    args = ("check", "--root", checkout, "--tenants", tmp_path)
    ended = fleet(*args)
    assert (ended.code, ended.err) == (0, f"{line}\n{UNUSED}")
    assert ", 0 tenants, " in ended.out
    ended = fleet(*args, "--json")
    report = json.loads(ended.out)
    assert (report["teams"], report["notChecked"]) == (0, [line])


def test_no_folder(checkout: Path, fleet: Run) -> None:
    ended = fleet("check", "--root", checkout, "--tenants", checkout / "none")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"--tenants {checkout}/none: is not a folder; name the folder with the tenants' clones\n"
    )
