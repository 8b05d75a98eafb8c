"""`fleet check`: output and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.check.support import flux_kustomization
from tests.support import (
    UNUSED,
    Run,
    config_map,
    contents,
    definition,
    stack_file,
    with_manifests,
    write,
)

UNUSED_TOO = UNUSED.replace("apps/", "apps/podinfo/overlays/dev, apps/", 1)
KEYS = {"clusters", "objects", "findings", "behind", "notes", "accepted", "withoutSchema"}


def test_exits_with_0_without_findings(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.err) == (0, UNUSED)
    assert re.fullmatch(r"2 clusters, \d+ objects, 0 findings\n", ended.out)


def test_prints_findings_and_exits_with_1(checkout: Path, fleet: Run) -> None:
    """Each finding is one line with file and object; the last line counts them."""
    with_manifests(checkout)
    write(checkout, definition("apps/foo-app/base", config_map("foo", "foo")))
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="foo-app/base")})
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.err) == (1, UNUSED_TOO)
    finding, summary = ended.out.splitlines()
    assert finding.startswith("clusters/dev/apps: ConfigMap foo/foo: namespace foo is not")
    assert finding.endswith(" [apps/foo-app/base/resource.yaml:1]")
    assert summary.endswith(" 1 findings")


def test_a_path_that_goes_to_another_cluster(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    spoke = flux_kustomization("spoke", "  kubeConfig: {secretRef: {name: spoke}}\n", "./apps/b")
    write(checkout, {**definition("apps/a", spoke), **definition("apps/b", config_map("b", "b"))})
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.err) == (
        0,
        "dev: clusters/dev/apps: Kustomization flux-system/spoke: is applied to another cluster, "
        "which spec.kubeConfig names; its objects are not checked\n"
        f"{UNUSED_TOO}the clusters need these, which are in no file: Secret flux-system/spoke\n",
    )
    ended = fleet("where", "ConfigMap/b", "--root", checkout)
    assert ended.code == 1
    assert "is applied to another cluster, which spec.kubeConfig names" in ended.err


def test_prints_json(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    write(checkout, definition("apps/foo-app/base", config_map("foo", "foo")))
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="foo-app/base")})
    ended = fleet("check", "--root", checkout, "--json")
    assert (ended.code, ended.err) == (1, UNUSED_TOO)
    report = json.loads(ended.out)
    assert set(report) == KEYS
    assert [f"{note}\n" for note in report["notes"]] == [UNUSED_TOO]
    assert report["clusters"] == 2
    assert report["withoutSchema"] == {}
    (finding,) = report["findings"]
    assert (finding["file"], finding["object"]) == ("clusters/dev/apps", "ConfigMap foo/foo")
    assert finding["problem"].startswith("namespace foo is not created in this cluster")
    assert finding["rule"] == "missing-namespace"
    assert finding["source"] == {"file": "apps/foo-app/base/resource.yaml", "line": 1}


def test_without_install_manifests(checkout: Path, fleet: Run) -> None:
    """All other files are checked."""
    with_manifests(checkout)
    (checkout / "flux.yaml").unlink()
    ended = fleet("check", "--root", checkout)
    assert ended.code == 0
    assert len(ended.err.splitlines()) == 2
    assert ended.out.endswith(" 0 findings\n")


def test_without_kustomize(
    checkout: Path, empty_cache: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_manifests(checkout)
    monkeypatch.setenv("PATH", str(empty_cache))
    ended = fleet("check", "--root", checkout)
    assert ended.code == 1
    said = ended.out + ended.err
    assert "kustomize: not found; put it (or kubectl) on PATH or run `make check-tools`" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1


def test_an_invalid_stack_is_not_built(checkout: Path, fleet: Run) -> None:
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", apps="nothing")})
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Pulumi.prod.yaml: fleet:apps[0]: 'nothing' has no ")


def test_prints_json_for_an_invalid_stack(checkout: Path, fleet: Run) -> None:
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", apps="nothing zzz")})
    ended = fleet("check", "--root", checkout, "--json")
    assert (ended.code, ended.err) == (1, "")
    report = json.loads(ended.out)
    assert set(report) == KEYS
    assert [(found["file"], found["object"]) for found in report["findings"]] == [
        ("Pulumi.prod.yaml", "")
    ] * 2
    assert report["findings"][0]["problem"].startswith("fleet:apps[0]: 'nothing' has no ")


def test_prints_json_for_other_install_manifests(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    write(checkout, {"flux.yaml": "another file\n"})
    ended = fleet("check", "--root", checkout, "--json")
    assert (ended.code, ended.err) == (1, "")
    (finding,) = json.loads(ended.out)["findings"]
    assert finding["file"] == f"{checkout}/flux.yaml"
    assert finding["problem"].startswith("is not Flux v2.9.2; ")


def test_changes_no_file(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    before = contents(checkout)
    fleet("check", "--root", checkout)
    assert contents(checkout) == before
