"""The output of `fleet check --sarif`, which code scanning shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.check.findings import AcceptedFinding, Report
from fleet.check.rules import Rule
from fleet.cli import check_sarif
from fleet.inventory.finding import Finding, Place
from tests.support import Run, config_map, definition, stack_file, with_manifests, write

PLACE = Place(file="apps/a b/resource.yaml", line=3)


def finding(file: str, **more: Any) -> Finding:  # noqa: ANN401 - any field
    """Return a finding about an image in a path of Flux."""
    fields = {"object": "Pod a/b", "problem": "image c", "source": PLACE, **more}
    return Finding(file=file, rule=Rule.IMAGE_TAG.value, **fields)


def results(*findings: Finding, accepted: tuple[AcceptedFinding, ...] = ()) -> list[dict[str, Any]]:
    report = Report(findings=list(findings), accepted=list(accepted))
    found: list[dict[str, Any]] = check_sarif.as_dict(report)["runs"][0]["results"]
    return found


def place(result: dict[str, Any]) -> tuple[str, int]:
    """Return the file and the line of a result."""
    (location,) = result["locations"]
    physical = location["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def test_a_result() -> None:
    (found,) = results(finding("clusters/dev/apps"))
    assert (found["ruleId"], found["level"]) == ("image-tag", "error")
    assert found["message"] == {"text": "clusters/dev/apps: Pod a/b: image c"}
    # A location is a URI.
    assert place(found) == ("apps/a%20b/resource.yaml", 3)
    assert "suppressions" not in found


def test_what_many_clusters_have_is_one_result() -> None:
    (found,) = results(*(finding(f"clusters/c{number}/apps") for number in range(12)))
    assert found["message"]["text"].startswith("clusters/c0/apps, clusters/c1/apps, ")
    assert found["message"]["text"].endswith("c9/apps and 2 more: Pod a/b: image c")


def test_other_places_and_problems_are_other_results() -> None:
    other = Place(file="apps/a b/resource.yaml", line=9)
    found = results(
        finding("clusters/dev/apps"),
        finding("clusters/dev/apps", problem="image d"),
        finding("clusters/dev/apps", source=other),
    )
    assert len(found) == 3


def test_an_accepted_finding_is_suppressed() -> None:
    accepted = AcceptedFinding(**vars(finding("clusters/dev/apps")), because="for a test")
    (found,) = results(accepted=(accepted,))
    assert found["suppressions"] == [{"kind": "external", "justification": "for a test"}]


def test_a_finding_without_a_place() -> None:
    (found,) = results(finding("elsewhere/deploy", source=None))
    assert place(found) == ("elsewhere/deploy", 1)


def test_a_stack_file_that_is_not_valid(checkout: Path, fleet: Run) -> None:
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", apps="nothing")})
    ended = fleet("check", "--root", checkout, "--sarif")
    assert (ended.code, ended.err) == (1, "")
    (found,) = json.loads(ended.out)["runs"][0]["results"]
    assert (found["ruleId"], *place(found)) == ("stack-file", "Pulumi.prod.yaml", 4)


def test_both_formats(fleet: Run) -> None:
    assert fleet("check", "--json", "--sarif").code == 2


@pytest.mark.slow
def test_the_whole_log(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    write(checkout, definition("apps/foo-app/base", config_map("foo", "foo")))
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="foo-app/base")})
    ended = fleet("check", "--root", checkout, "--sarif")
    assert ended.code == 1
    log = json.loads(ended.out)
    assert (log["version"], log["$schema"]) == (
        "2.1.0",
        "https://json.schemastore.org/sarif-2.1.0.json",
    )
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.value for rule in Rule]
    assert all(rule["shortDescription"]["text"] for rule in rules)
    (found,) = run["results"]
    assert rules[found["ruleIndex"]]["id"] == found["ruleId"] == "missing-namespace"
    assert place(found) == ("apps/foo-app/base/resource.yaml", 1)
