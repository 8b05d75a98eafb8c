"""Test the texts of findings and of the report."""

from __future__ import annotations

import dataclasses

from fleet.check.findings import Report
from fleet.check.rules import TEXTS, Rule
from fleet.inventory.finding import Finding, Place, with_place

FINDING = Finding(file="clusters/dev", object="ConfigMap a", problem="is wrong")


PLACED = dataclasses.replace(
    FINDING, rule=Rule.IMAGE_TAG.value, source=Place(file="apps/a.yaml", line=3)
)


def test_a_finding_is_one_line() -> None:
    assert str(FINDING) == "clusters/dev: ConfigMap a: is wrong"
    odd = Finding(file="a\nb\x1b\udcff", object="c\u2028d", problem="e\r\n")
    assert str(odd) == "a b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}: c d: e"
    assert with_place(PLACED) == "clusters/dev: ConfigMap a: is wrong [apps/a.yaml:3]"
    whole = Finding(file="clusters/dev", object="", problem="does not build")
    assert str(whole) == "clusters/dev: does not build"


def test_for_people_and_programs() -> None:
    report = Report(clusters=2, objects=3, findings=[PLACED])
    assert report.summary() == "2 clusters, 3 objects, 1 findings"
    assert report.as_dict() == {
        "clusters": 2,
        "objects": 3,
        "findings": [
            {
                "file": "clusters/dev",
                "object": "ConfigMap a",
                "problem": "is wrong",
                "rule": "image-tag",
                "source": {"file": "apps/a.yaml", "line": 3},
            }
        ],
        "behind": [],
        "notes": [],
        "accepted": [],
        "withoutSchema": {},
    }


def test_every_rule_has_a_text() -> None:
    assert [*TEXTS] == [*Rule]
