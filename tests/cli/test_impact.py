"""`fleet impact`: its outputs and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.inventory.support import commit
from tests.support import (
    Run,
    config_map,
    definition,
    manifest,
    namespace,
    stack_file,
    with_manifests,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

BASE = "apps/podinfo/base/resource.yaml"
EDITED = config_map("podinfo", "common").replace("value", "other")
WITH_TEAM = "namespaces/common namespaces/team"


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a committed checkout with the stacks dev and prod; only dev has the namespace team."""
    with_manifests(checkout)
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=WITH_TEAM)})
    commit(checkout, definition("infrastructure/namespaces/team", namespace("team")))
    return checkout


def without_team(root: Path) -> None:
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})


def test_text(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    ended = fleet("impact", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "HEAD..(working copy) reaches 2 of 2 clusters: 2 changed; nothing is deleted\n"
        "\n"
        "Shared files:\n"
        f"  {BASE}:7 reaches dev, prod when it is merged (environments dev, prod; read by "
        "apps/podinfo/overlays/dev, apps/podinfo/overlays/prod)\n"
        "\n"
        "dev, prod (dev, prod; referenced, follows main)\n"
        "  ~ at merge: changed: ConfigMap common/podinfo (flux-system/apps)\n"
        "      data.key: value -> other\n"
        f"      from {BASE}:7\n"
    )


def test_text_without_a_change(root: Path, fleet: Run) -> None:
    ended = fleet("impact", "HEAD..HEAD", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "HEAD..HEAD reaches none of 2 clusters\n"


def test_text_of_a_deletion(root: Path, fleet: Run) -> None:
    without_team(root)
    assert fleet("impact", "--root", root).out.splitlines()[2:] == [
        "dev (dev; referenced, follows main)",
        "  - at its next `up`: removed: Namespace team (flux-system/infra)",
        "      ! Flux deletes it",
        "      ! everything in the namespace goes, also what is not in this repository",
        "      from Pulumi.dev.yaml:3",
    ]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--fail-on", "prod"], 0, ""),
        (["--fail-on", "dev"], 3, "--fail-on: the change reaches dev (environment dev)\n"),
        (["--max-deletions", "1"], 0, ""),
        (["--max-deletions", "0"], 3, "--max-deletions 0: 1 objects are deleted\n"),
        (
            ["--fail-on", "prd"],
            1,
            "--fail-on prd: is no environment and no cluster here; near names: prod\n",
        ),
    ],
)
def test_limits(options: list[str], code: int, said: str, root: Path, fleet: Run) -> None:
    without_team(root)
    ended = fleet("impact", "--root", root, *options)
    assert (ended.code, ended.err) == (code, said)


@pytest.mark.parametrize("options", [["--max-deletions", "-1"], ["--json", "--sarif"]])
def test_wrong_usage(options: list[str], root: Path, fleet: Run) -> None:
    assert fleet("impact", "--root", root, *options).code == 2


def test_a_limit_that_is_not_certain_is_exceeded(root: Path, fleet: Run) -> None:
    """A path that does not build could delete anything."""
    (root / BASE).unlink()
    ended = fleet("impact", "--root", root, "--max-deletions", "0", "--fail-on", "prod")
    assert ended.code == 3
    assert ended.err.splitlines() == [
        "--fail-on: the change reaches prod (environment prod)",
        "--max-deletions 0: is not certain for dev, prod; see the problems",
    ]


def test_a_commit_without_stack_files(root: Path, fleet: Run) -> None:
    (root / "Pulumi.dev.yaml").unlink()
    (root / "Pulumi.prod.yaml").unlink()
    commit(root)
    commit(root, {"Pulumi.dev.yaml": stack_file("dev")})
    ended = fleet("impact", "HEAD~1..HEAD", "--root", root)
    assert ended.code == 0
    assert ended.out.startswith("HEAD~1..HEAD reaches 1 of 1 clusters: ")
    assert "dev (dev; referenced, follows main, new)" in ended.out
    refused = fleet("diff", "dev@HEAD~1..HEAD", "--root", root)
    assert (refused.code, refused.err) == (1, "dev: is no cluster here; clusters here: none\n")


def test_a_commit_that_is_not_valid_is_named(root: Path, fleet: Run) -> None:
    write(root, {"Pulumi.dev.yaml": "config: {fleet:cluster: 1}\n"})
    first = commit(root)
    without_team(root)
    ended = fleet("impact", first, "--root", root)
    assert (ended.code, ended.out) == (1, "")
    assert all(line.startswith(f"{first}: Pulumi.dev.yaml: ") for line in ended.err.splitlines())


def as_json(root: Path, fleet: Run, *options: str) -> dict[str, Any]:
    ended = fleet("impact", "--root", root, *options)
    found: dict[str, Any] = json.loads(ended.out)
    return found


def test_json(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    without_team(root)
    found = as_json(root, fleet, "--json")
    keys = {"base", "head", "clusters", "files", "deletions", "unknown", "notJudged", "exceeded"}
    assert set(found) == keys
    assert (found["base"], found["head"], found["deletions"]) == ("HEAD", None, 1)
    assert found["files"] == [
        {
            "file": BASE,
            "line": 7,
            "readers": ["apps/podinfo/overlays/dev", "apps/podinfo/overlays/prod"],
            "atMerge": ["dev", "prod"],
            "atUp": [],
            "environments": ["dev", "prod"],
        }
    ]
    dev, prod = found["clusters"]
    assert {key: value for key, value in dev.items() if key != "changes"} == {
        "name": "dev",
        "environment": "dev",
        "branch": "main",
        "definitions": "referenced",
        "isReached": True,
        "isNew": False,
        "isRemoved": False,
        "deletions": 1,
        "refusals": [],
        "problems": [],
        "unknown": [],
    }
    assert prod["changes"] == [
        {
            "at": "merge",
            "kind": "changed",
            "object": {
                "group": "",
                "kind": "ConfigMap",
                "namespace": "common",
                "name": "podinfo",
            },
            "tenant": None,
            "kustomization": "flux-system/apps",
            "movedFrom": None,
            "isDeleted": False,
            "fields": [{"path": "data.key", "before": "value", "after": "other"}],
            "notes": [],
            "sources": [{"file": BASE, "line": 7}],
        }
    ]
    removed = dev["changes"][1]
    assert (removed["at"], removed["kind"], removed["isDeleted"]) == ("up", "removed", True)
    assert removed["notes"][0] == {"rule": "deleted", "isSevere": True, "text": "Flux deletes it"}


def test_markdown(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    without_team(root)
    ended = fleet("impact", "--root", root, "--markdown", "--fail-on", "prod")
    assert ended.code == 3
    lines = ended.out.splitlines()
    assert lines[0] == "### Impact"
    assert "| dev | dev | 1 changed | 1 removed | 1 |" in lines
    assert "| prod | prod | 1 changed | - | 0 |" in lines
    assert "> - dev: `Namespace team` at its next `up`: Flux deletes it" in lines
    assert "**--fail-on: the change reaches prod (environment prod)**" in lines
    first = lines.index(
        "<details><summary>dev (dev; referenced, follows main): 1 changed, 1 removed</summary>"
    )
    # The short part comes first, and everything else is folded.
    assert first > lines.index("> - dev: `Namespace team` at its next `up`: Flux deletes it")
    assert lines.count("</details>") == 2


def test_markdown_shows_names_and_values_as_they_are(root: Path, fleet: Run) -> None:
    evil = 'data: {key: "``` </details> <img src=x> @team"}\n'
    write(root, {BASE: manifest("v1", "ConfigMap", "podinfo", "common", evil)})
    out = fleet("impact", "--root", root, "--markdown").out
    (fence,) = set(re.findall("^(`+)text$", out, re.MULTILINE))
    content = re.search(f"^{fence}text\n(.*?)^{fence}$", out, re.MULTILINE | re.DOTALL)
    assert content is not None
    assert "</details> <img src=x> @team" in content[1]
    outside = out.replace(content[1], "")
    assert "<img" not in outside


HOSTILE = r"x\n\n# Big\n<img src=x>\n\e[31m"
SHOWN = "x\ufffd\ufffd# Big\ufffd<img src=x>\ufffd\ufffd[31m"


@pytest.mark.parametrize("command", [("impact",), ("impact", "--markdown"), ("diff", "dev@")])
def test_a_name_stays_on_its_line(command: tuple[str, ...], root: Path, fleet: Run) -> None:
    commit(root, {BASE: config_map(f'"{HOSTILE}"', "common")})
    write(root, {BASE: EDITED})
    ended = fleet(*command, "--root", root)
    assert SHOWN in ended.out
    assert "\x1b" not in ended.out
    assert "\n<img" not in ended.out


def test_an_error_cannot_colour_the_terminal(root: Path, fleet: Run) -> None:
    write(root, {BASE: manifest("v1", r'"Odd\e[31m"', "podinfo", "common")})
    ended = fleet("matrix", "--kind", "none", "--root", root)
    assert "Odd\ufffd[31m" in ended.err


def test_a_long_name_does_not_make_a_comment_too_long(root: Path, fleet: Run) -> None:
    commit(root, {BASE: config_map("x" * 70_000, "common")})
    write(root, {BASE: EDITED})
    ended = fleet("impact", "--markdown", "--root", root)
    assert len(ended.out) < 65_536
    assert ended.out.startswith("### Impact\n")


def test_markdown_fits_into_a_comment(root: Path, fleet: Run) -> None:
    many = "---\n".join(config_map(f"a-{index}", "common") for index in range(900))
    write(root, {BASE: many})
    out = fleet("impact", "--root", root, "--markdown").out
    assert len(out) < 65_536
    assert "More details do not fit here" in out


def test_sarif(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    without_team(root)
    found = as_json(root, fleet, "--sarif")
    assert (found["version"], found["$schema"]) == (
        "2.1.0",
        "https://json.schemastore.org/sarif-2.1.0.json",
    )
    (run,) = found["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert run["tool"]["driver"]["name"] == "fleet"
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert (root / place["artifactLocation"]["uri"]).is_file()
        assert place["region"]["startLine"] >= 1
    shown = {
        (
            result["ruleId"],
            result["level"],
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run["results"]
    }
    assert shown == {
        ("object-changed", "note", BASE, 7),
        ("deleted", "error", "Pulumi.dev.yaml", 3),
    }
    (message,) = [
        result["message"]["text"]
        for result in run["results"]
        if result["ruleId"] == "object-changed"
    ]
    assert message == (
        "ConfigMap common/podinfo in dev, prod is changed at merge: data.key: value -> other"
    )


def test_sarif_of_a_part_that_is_not_compared(root: Path, fleet: Run) -> None:
    (root / BASE).unlink()
    (run,) = as_json(root, fleet, "--sarif")["runs"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("not-compared", "error"),
        ("not-compared", "error"),
    ]


def test_no_value_of_a_secret_is_in_any_output(root: Path, fleet: Run) -> None:
    secret = manifest("v1", "Secret", "podinfo", "common", "stringData: {key: hunter2}\n")
    commit(root, {BASE: secret})
    write(root, {BASE: secret.replace("hunter2", "other-2")})
    for options in ([], ["--json"], ["--markdown"], ["--sarif"]):
        out = fleet("impact", "--root", root, *options).out
        assert "stringData.key" in out
        assert "hunter2" not in out
        assert "other-2" not in out


def test_without_a_terminal_there_are_no_colours(root: Path, fleet: Run) -> None:
    without_team(root)
    ended = fleet("impact", "--root", root)
    assert "\x1b" not in ended.out + ended.err


def test_changes_no_file(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    fleet("impact", "--root", root)
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert after == before
