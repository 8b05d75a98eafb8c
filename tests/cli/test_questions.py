"""`fleet where`, `fleet why` and `fleet matrix`: their outputs and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import fleets
from fleet.provenance.link import LinkKind
from fleet.questions.aspects import Aspect
from fleet.questions.things import ThingType
from tests.support import REPOSITORY, Run, kustomization, stack_file, with_manifests, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs/inventory.md").read_text()
BROKEN = {"apps/podinfo/base/kustomization.yaml": kustomization("nothing.yaml")}


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a checkout with the stacks dev and prod."""
    with_manifests(checkout)
    return checkout


@pytest.mark.parametrize(
    "command",
    [
        "fleet where podinfo",
        "fleet why prod Deployment/podinfo",
        "fleet matrix",
    ],
)
def test_the_screens_in_the_page(command: str, fleet: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    ended = fleet(*command.split()[1:], "--root", REPOSITORY)
    assert ended.code == 0
    assert f"```\n$ {command}\n{ended.out}```\n" in PAGE


@pytest.mark.parametrize("command", [("where",), ("why", "dev")])
def test_a_name_that_fits_nothing(command: tuple[str, ...], root: Path, fleet: Run) -> None:
    ended = fleet(*command, "podinf", "--root", root)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("podinf: nothing here has this name; near names: podinfo")


def test_a_cluster_that_does_not_exist(root: Path, fleet: Run) -> None:
    ended = fleet("why", "prd", "podinfo", "--root", root)
    assert (ended.code, ended.err) == (1, "prd: is no cluster here; near names: prod\n")


def test_a_thing_that_the_cluster_does_not_have(fleet: Run) -> None:
    ended = fleet("why", "prod", "foo-app", "--root", REPOSITORY)
    assert (ended.code, ended.err.splitlines()[-1]) == (
        1,
        "foo-app: is not in prod; it is in: test",
    )


@pytest.mark.parametrize("command", [("where", "common"), ("why", "dev", "common"), ("matrix",)])
def test_a_path_that_does_not_build(command: tuple[str, ...], root: Path, fleet: Run) -> None:
    write(root, BROKEN)
    ended = fleet(*command, "--root", root)
    assert ended.code == 0
    assert ended.err.startswith("! dev, prod: apps/podinfo/base/kustomization.yaml: ")
    assert "; its objects are missing here\n" in ended.err
    found = json.loads(fleet(*command, "--json", "--root", root).out)
    assert found["problems"]


def test_the_json_of_where(root: Path, fleet: Run) -> None:
    found = json.loads(fleet("where", "podinfo", "--json", "--root", root).out)
    assert (found["name"], found["problems"]) == ("podinfo", [])
    (thing,) = found["things"]
    assert (thing["type"], thing["name"], thing["missing"]) == ("app", "podinfo", [])
    assert thing["differing"] == ["entry"]
    assert thing["same"] == {"namespace": ["common"]}
    assert thing["clusters"][1] == {
        "cluster": "prod",
        "environment": "prod",
        "aspects": {"entry": ["podinfo/overlays/prod"], "namespace": ["common"]},
        "objects": [
            {
                "group": "",
                "kind": "ConfigMap",
                "namespace": "common",
                "name": "podinfo",
                "appliedBy": "flux-system/apps",
            }
        ],
        "sources": [
            {
                "kind": "stack",
                "file": "Pulumi.prod.yaml",
                "line": 4,
                "text": "fleet:apps lists podinfo/overlays/prod",
                "changes": [],
            }
        ],
        "otherFields": [],
    }


def test_the_json_of_why(root: Path, fleet: Run) -> None:
    listing = f"{kustomization('../../base')}namespace: team\n"
    write(root, {"apps/podinfo/overlays/prod/kustomization.yaml": listing})
    found = json.loads(fleet("why", "prod", "podinfo", "--json", "--root", root).out)
    assert (found["cluster"], found["name"], found["problems"]) == ("prod", "podinfo", [])
    (thing,) = found["things"]
    (item,) = thing["objects"]
    kinds = [link["kind"] for link in item["chain"]]
    assert kinds == [
        "stack", "kustomization", "list", "kustomization", "list", "list", "change", "list",
        "object",
    ]  # fmt: skip
    assert item["chain"][6] == {
        "kind": "change",
        "file": "apps/podinfo/overlays/prod/kustomization.yaml",
        "line": 5,
        "text": "namespace: team",
        "changes": [{"path": "metadata.namespace", "before": "common", "after": "team"}],
    }


def test_the_json_of_a_matrix(root: Path, fleet: Run) -> None:
    found = json.loads(fleet("matrix", "--json", "--root", root).out)
    assert found["clusters"] == [
        {"name": "dev", "environment": "dev"},
        {"name": "prod", "environment": "prod"},
    ]
    row = next(row for row in found["rows"] if row["name"] == "common")
    assert row == {
        "type": "namespace",
        "name": "common",
        "isEverywhere": True,
        "isSame": True,
        "common": "infrastructure/namespaces/common",
        "cells": {name: {"text": "yes", "variant": 1, "aspects": {}} for name in ("dev", "prod")},
    }


def test_the_page_names_all_words_of_the_json() -> None:
    for word in (*ThingType, *Aspect, *LinkKind):
        assert f"`{word.value}`" in PAGE


def test_a_table_wider_than_the_terminal(
    tmp_path: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets.make(tmp_path, 30)
    monkeypatch.setenv("COLUMNS", "100")
    lines = fleet("matrix", "--root", tmp_path).out.splitlines()
    assert lines[0].split() == ["dev", "(10)", "prod", "(10)", "test", "(10)"]
    (row,) = (line for line in lines if line.startswith("  app-15") and "replicas" in line)
    assert " ".join(row.split()) == "app-15 replicas 1 replicas 3 replicas 2 every cluster"
    assert max(map(len, lines)) <= 100


def test_columns_by_facts(root: Path, fleet: Run) -> None:
    facts = {"dev": "{region: eu}", "prod": "{region: us, host: a}", "edge": "{region: us}"}
    for name, values in facts.items():
        environment = "dev" if name == "dev" else "prod"
        app, more = f"podinfo/overlays/{environment}", f"  fleet:facts: {values}\n"
        text = stack_file(name, "", app, more, f", environment: {environment}")
        write(root, {f"Pulumi.{name}.yaml": text})
    by = ("--by", "environment", "--by", "region")
    lines = fleet("matrix", *by, "--root", root).out.splitlines()
    assert lines[0].split() == ["dev", "eu", "(1)", "prod", "us", "(2)"]
    lines = fleet("matrix", "--by", "host", "--root", root).out.splitlines()
    assert lines[0].split() == ["-", "(2)", "a", "(1)"]
    refused = fleet("matrix", "--by", "regoin", "--root", root)
    assert (refused.code, refused.err) == (
        1,
        "--by regoin: no cluster has this fact; name one of: region\n",
    )


def test_colours_only_on_a_terminal(
    root: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fleet("why", "dev", "podinfo", "--root", root).out
    assert "\x1b" not in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    coloured = fleet("why", "dev", "podinfo", "--root", root).out
    assert coloured.startswith("\x1b[1mapp podinfo in dev: 1 object\x1b[0m\n")


@pytest.mark.parametrize("command", ["where", "why", "matrix"])
def test_help_has_two_examples(command: str, fleet: Run) -> None:
    examples = fleet(command, "--help").out.partition("examples:\n")[2]
    assert examples.count(f"  fleet {command}") == 2
