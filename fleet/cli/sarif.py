"""Results of commands as SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fleet.inventory.finding import Place

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def log(texts: Mapping[str, str], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the log of results; `texts` has the text of each rule, by name."""
    rules = list(texts)
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {
        "name": "fleet",
        "rules": [{"id": rule, "shortDescription": {"text": texts[rule]}} for rule in rules],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [*results]}],
    }


def result(rule: str, level: str, text: str, places: Sequence[Place]) -> dict[str, Any]:
    """Return one result. A reader of SARIF expects one location; the others are related."""
    locations = [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": quote(place.file), "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": place.line},
            }
        }
        for place in places
    ]
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": locations[:1],
        "relatedLocations": locations[1:],
    }
