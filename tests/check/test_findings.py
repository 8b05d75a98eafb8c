"""Test the texts of findings and of the report."""

from __future__ import annotations

from fleet.check.findings import Report
from fleet.inventory.finding import Finding

FINDING = Finding(file="clusters/dev", object="ConfigMap a", problem="is wrong")


def test_a_finding_is_one_line() -> None:
    assert str(FINDING) == "clusters/dev: ConfigMap a: is wrong"
    odd = Finding(file="a\nb\x1b\udcff", object="c\u2028d", problem="e\r\n")
    assert str(odd) == "a b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}: c d: e"
    whole = Finding(file="clusters/dev", object="", problem="does not build")
    assert str(whole) == "clusters/dev: does not build"


def test_for_people_and_programs() -> None:
    report = Report(clusters=2, objects=3, findings=[FINDING])
    assert report.summary() == "2 clusters, 3 objects, 1 findings"
    assert report.as_dict() == {
        "clusters": 2,
        "objects": 3,
        "findings": [{"file": "clusters/dev", "object": "ConfigMap a", "problem": "is wrong"}],
        "behind": [],
        "accepted": [],
        "withoutSchema": {},
    }
