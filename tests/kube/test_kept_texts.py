"""The YAML texts that a later run uses again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.kube import kept_texts, yaml_writer
from fleet.kube.yaml_writer import texts_kept_for, to_yaml


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> list[Any]:
    """Return what PyYAML writes, with a cache that is empty and keeps few texts."""
    assert not empty_cache.exists()
    monkeypatch.setattr(kept_texts, "MIN_KEPT", 1)
    found: list[Any] = []
    write = yaml_writer._write

    def recorded(manifest: Any) -> str:  # noqa: ANN401 - any object
        found.append(manifest)
        return write(manifest)

    monkeypatch.setattr(yaml_writer, "_write", recorded)
    return found


def test_an_equal_object_is_written_once(written: list[Any], tmp_path: Path) -> None:
    with texts_kept_for(tmp_path):
        assert to_yaml({"a": [1]}, {"a": [1]}) == "a:\n  - 1\n---\na:\n  - 1\n"
    assert written == [{"a": [1]}]


def test_a_later_run_finds_the_texts_of_its_own_checkout(
    written: list[Any], tmp_path: Path
) -> None:
    for root in (tmp_path, tmp_path, tmp_path / "other"):
        with texts_kept_for(root):
            to_yaml({"a": "b"})
    assert written == [{"a": "b"}] * 2


def test_texts_that_a_run_does_not_use_are_forgotten(written: list[Any], tmp_path: Path) -> None:
    for content in ("a", "b", "a"):
        with texts_kept_for(tmp_path):
            to_yaml({"a": content})
    assert written == [{"a": "a"}, {"a": "b"}, {"a": "a"}]


def test_a_damaged_file_is_written_again(
    written: list[Any], empty_cache: Path, tmp_path: Path
) -> None:
    for content in ("{", '{"a": 1}', "[]"):
        with texts_kept_for(tmp_path):
            to_yaml({"a": "b"})
        (file,) = (empty_cache / "texts").iterdir()
        file.write_text(content)
    assert len(written) == 3


ALIKE: list[tuple[object, object]] = [
    (1, True),
    (1, 1.0),
    (1, "1"),
    (0, None),
    ("2026-01-02", date(2026, 1, 2)),
    (b"a", "a"),
]


@pytest.mark.parametrize(("first", "second"), ALIKE)
@pytest.mark.usefixtures("written")
def test_contents_that_are_alike_have_texts_of_their_own(
    first: object, second: object, tmp_path: Path
) -> None:
    values: list[Any] = [first, second]
    with texts_kept_for(tmp_path):
        for value in values:
            assert yaml.safe_load(to_yaml({"a": value})) == {"a": value}
            assert yaml.safe_load(to_yaml({value: "a"})) == {value: "a"}
            assert type(yaml.safe_load(to_yaml({"a": value}))["a"]) is type(value)
