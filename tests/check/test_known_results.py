"""The results of kubeconform that a later run of `fleet check` uses again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet import cache
from fleet.check import known_results, schemas
from fleet.check.run import check_stacks
from fleet.config import load
from tests.check.support import APPS, check
from tests.support import definition, manifest, write

VALID = definition("apps/a", manifest("v1", "ConfigMap", "a", "common", "data: {a: b}\n"))
INVALID = definition("apps/a", manifest("v1", "ConfigMap", "a", "common", "dat: {}\n"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test results of its own."""
    monkeypatch.setattr(cache, "validated", lambda key: tmp_path / "validated" / key)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of objects that each run of kubeconform reads."""
    counts: list[int] = []
    run = schemas._run_kubeconform

    def counted(file: Path, locations: Sequence[str]) -> list[dict[str, Any]]:
        results = run(file, locations)
        counts.append(len(results))
        return results

    monkeypatch.setattr(schemas, "_run_kubeconform", counted)
    return counts


def check_again(root: Path) -> list[str]:
    stacks = [(stack, None) for stack in load.stacks(root)]
    return [str(finding) for finding in check_stacks(root, stacks, lambda _: None).findings]


def test_only_what_has_changed_is_validated(checkout: Path, validated: list[int]) -> None:
    assert check(checkout, VALID, apps="a") == []
    assert check_again(checkout) == []
    assert len(validated) == 1
    write(checkout, {"apps/a/resource.yaml": manifest("v1", "ConfigMap", "b", "common")})
    assert check_again(checkout) == []
    assert validated[1:] == [1]


def test_an_invalid_object_is_found_each_time(checkout: Path, validated: list[int]) -> None:
    problem = f"{APPS}: ConfigMap common/a: additional properties 'dat' not allowed"
    assert check(checkout, INVALID, apps="a") == [problem]
    assert check_again(checkout) == [problem]
    assert validated[1:] == [1]


def test_results_with_other_schemas_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    write(folder, {"example.com/widget_v1.json": "{}"})
    program = schemas.kubeconform()
    first = known_results.file_of(tmp_path, folder, program)
    assert known_results.file_of(tmp_path, folder, program) == first
    write(folder, {"example.com/widget_v1.json": '{"type": "object"}'})
    assert known_results.file_of(tmp_path, folder, program) != first


def test_a_damaged_file_has_no_results(tmp_path: Path) -> None:
    file = tmp_path / "results"
    assert known_results.read(file) == {}
    file.write_text("{")
    assert known_results.read(file) == {}
    known_results.write(file, {"a": "statusValid", "b": "statusInvalid"})
    assert known_results.read(file) == {"a": "statusValid"}
