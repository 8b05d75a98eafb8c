"""Test that a fleet which is checked in several processes has the same report as in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import forks
from fleet.check import run
from fleet.check.run import Options, check_stacks
from fleet.config import load
from tests.check.support import CRD, flux_kustomization
from tests.support import (
    FILES,
    INSTALL_MANIFESTS,
    config_map,
    definition,
    kubeconfig,
    kustomization,
    manifest,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

_NAMES = ("dev", "edge-1", "edge-2", "prod", "test")
_APPS = "podinfo/base widgets"
_SIZE = "spec: {size: large}\n"
_IMAGE = (
    "spec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n"
    "    spec: {containers: [{name: a, image: nginx}]}\n"
)
_COMMON = {
    **{name: text for name, text in FILES.items() if not name.startswith("Pulumi.")},
    "Pulumi.yaml": FILES["Pulumi.yaml"],
    "kubeconfig": kubeconfig(*(f"k3d-{name}" for name in _NAMES)),
    **{f"Pulumi.{name}.yaml": stack_file(name, apps=_APPS) for name in _NAMES},
    **definition("apps/widgets", manifest("example.com/v1", "Widget", "a", "common", _SIZE)),
}


def _stacks(**more: str) -> dict[str, str]:
    """Return the stack files of some clusters with further apps."""
    return {
        f"Pulumi.{name.replace('_', '-')}.yaml": stack_file(
            name.replace("_", "-"), apps=f"{_APPS} {apps}"
        )
        for name, apps in more.items()
    }


# The last cluster alone brings the CRD, so each other one needs it from another process.
_CRD_ELSEWHERE = {**_stacks(test="crd"), **definition("apps/crd", CRD)}
CHECKOUTS: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "a CRD": _CRD_ELSEWHERE,
    "a folder that does not build": {
        **_stacks(edge_1="broken", test="broken"),
        "apps/broken/kustomization.yaml": kustomization("nothing"),
    },
    "no namespace": {
        **_stacks(dev="other", prod="other"),
        **definition("apps/other", config_map("a", "missing")),
    },
    "twice": {
        **_stacks(edge_2="twice"),
        **definition("apps/twice", config_map("podinfo", "common")),
    },
    "an image": {
        **_stacks(dev="web", edge_2="web", test="web"),
        **definition("apps/web", manifest("apps/v1", "Deployment", "a", "common", _IMAGE)),
    },
    "a path of Flux": {
        **_stacks(edge_1="nested", test="nested"),
        **definition("apps/nested", flux_kustomization("nested", "", "./apps/other")),
        **definition("apps/other", config_map("a", "missing")),
    },
    "facts": {
        "Pulumi.dev.yaml": stack_file("dev", more="  fleet:facts: {domain: a.example}\n"),
        "Pulumi.test.yaml": stack_file("test", more="  fleet:facts: {unused: '1'}\n"),
        **definition("apps/podinfo/base", config_map("${domain}", "common")),
    },
    "a folder without a stack": {"clusters/other/kustomization.yaml": kustomization("a.yaml")},
    "a hand edit": {"clusters/edge-2/apps/kustomization.yaml": kustomization("a.yaml")},
    "an accepted finding": {
        **_CRD_ELSEWHERE,
        "accepted-findings.yaml": (
            "- finding: 'clusters/*/apps: Widget common/a: spec.size: got string, want integer'\n"
            "  because: as it was\n"
        ),
    },
}


def _report(root: Path, clones: Path | None = None) -> dict[str, Any]:
    stacks = [(stack, INSTALL_MANIFESTS) for stack in load.stacks(root)]
    report = check_stacks(root, stacks, lambda _: None, Options(clones=clones))
    return {**report.as_dict(), "unused": report.unused, "summary": report.summary()}


def _check_in(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check each cluster in a process, at most in this number of them."""
    monkeypatch.setattr(run, "_MIN_CLUSTERS", 1)
    monkeypatch.setattr(forks, "MOST", processes)


@pytest.mark.parametrize("name", CHECKOUTS)
@pytest.mark.parametrize("processes", [2, 3])
def test_the_report_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, processes: int
) -> None:
    root = tmp_path / "checkout"
    write(root, {**_COMMON, **CHECKOUTS[name]})
    expected = _report(root)
    _check_in(processes, monkeypatch)
    assert _report(root) == expected
    # The second run finds the results of the first one.
    assert _report(root) == expected


_OTHER_SCOPE = CRD.replace("scope: Namespaced", "scope: Cluster")
_TENANTS = "  fleet:tenants: [{name: billing, repository: {url: 'https://github.com/acme/shop'}}]\n"


@pytest.mark.parametrize("processes", [1, 3])
def test_the_first_crd_of_a_kind_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """Two clusters have other CRDs of a kind; the file of neither is YAML by its name."""
    _check_in(processes, monkeypatch)
    for folder, text in (("first", CRD), ("second", _OTHER_SCOPE)):
        files = definition(f"apps/{folder}", "")
        listing = files[f"apps/{folder}/kustomization.yaml"].replace("resource.yaml", "crd.json")
        write(tmp_path, {f"apps/{folder}/kustomization.yaml": listing})
        write(tmp_path, {f"apps/{folder}/crd.json": json.dumps(yaml.safe_load(text))})
    widget = manifest("example.com/v1", "Widget", "b")
    write(tmp_path, _COMMON)
    write(tmp_path, definition("apps/widgets", widget))
    write(tmp_path, _stacks(dev="first", test="second"))
    found = [str(item["problem"]) for item in _report(tmp_path)["findings"]]
    assert [text for text in found if "has no namespace" in text] == [
        "has no namespace, which Flux refuses; add metadata.namespace"
    ] * 5


@pytest.mark.parametrize("processes", [1, 3])
def test_a_tenants_crd_is_no_schema_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """A team could switch off a rule for the platform with it."""
    _check_in(processes, monkeypatch)
    root, clones = tmp_path / "checkout", tmp_path / "clones"
    write(root, _COMMON)
    write(root, {"Pulumi.dev.yaml": stack_file("dev", apps=_APPS, more=_TENANTS)})
    expected = _report(root)["withoutSchema"]
    write(clones / "shop", definition("deploy/dev", CRD))
    report = _report(root, clones)
    assert report["teams"] == 1
    assert report["withoutSchema"] == expected == {"example.com/v1 Widget": 5}
