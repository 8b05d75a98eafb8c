"""The readable field differences of two objects."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.inventory.field_diff import FieldDifference, differences

SECRET = "hunter2"  # noqa: S105 - no password, and no output may have it


def lines(before: Any, after: Any) -> list[str]:  # noqa: ANN401 - parts of manifests
    return [str(found) for found in differences({"spec": before}, {"spec": after})]


def containers(**images: str) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": image} for name, image in images.items()]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        (1, 2, ["spec: 1 -> 2"]),
        (1, "1", ['spec: 1 -> "1"']),
        (True, 1, ["spec: true -> 1"]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["spec.a.b: 1 -> 2"]),
        ({"a": 1}, {"b": None}, ["spec.a: 1 is gone", "spec.b: null is new"]),
        ({"x.io/y": "a"}, {"x.io/y": "b"}, ["spec[x.io/y]: a -> b"]),
        (
            containers(app="a", log="x"),
            containers(log="x", app="b"),
            [
                "spec.containers[name=app].image: a -> b",
                "spec.containers (order): app, log -> log, app",
            ],
        ),
        (
            containers(app="a"),
            containers(app="a", log="x"),
            ['spec.containers[name=log]: {"name": "log", "image": "x"} is new'],
        ),
        ([{"host": "a", "x": 1}], [{"host": "b", "x": 1}], ["spec[0].host: a -> b"]),
        (["--a", "--b"], ["--new", "--a", "--b"], ["spec[0]: --new is new"]),
        (["--a", "--b"], ["--b"], ["spec[0]: --a is gone"]),
        (["--a=1", "--b"], ["--a=2", "--b"], ["spec[0]: --a=1 -> --a=2"]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], ["spec[1].a: 2 -> 3"]),
        ("one\ntwo\n", "one\n2 three\n", ["spec (line 2): two -> 2 three"]),
        ("one\n", "one\ntwo\n", ['spec (line 2): "" -> two']),
    ],
)
def test_differences(before: object, after: object, expected: list[str]) -> None:
    assert lines(before, after) == expected


def test_names_that_repeat_are_compared_by_position() -> None:
    before = [{"name": "a", "port": 1}, {"name": "a", "port": 1}]
    after = [{"name": "a", "port": 1}, {"name": "a", "port": 2}]
    assert lines(before, after) == ["spec[1].port: 1 -> 2"]


def test_long_values_are_cut() -> None:
    (found,) = lines("a" * 500, "b" * 500)
    assert len(found) < 220
    assert "…" in found


def secret(**data: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, **data}


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        (secret(data={"a": SECRET}), secret(data={"a": "x"}), ["data.a"]),
        (secret(data={"a": SECRET}), secret(data={}), ["data.a"]),
        (secret(), secret(stringData={"a": SECRET, "b": SECRET}), ["stringData.a", "stringData.b"]),
        (secret(data={"a": {"b": SECRET}}), secret(data={"a": "x"}), ["data.a"]),
        (secret(data=SECRET), secret(data="x"), ["data"]),
        (
            {"items": []},
            {"items": [secret(data={"a": SECRET})]},
            ["items[kind=Secret]"],
        ),
        (
            {"items": [secret(data={"a": SECRET})]},
            {"items": [secret(data={"a": "x"})]},
            ["items[kind=Secret].data.a"],
        ),
        ({"sops": {"mac": SECRET}}, {"sops": {"mac": "x"}}, ["sops"]),
        ({"data": {"a": f"ENC[{SECRET}"}}, {"data": {"a": "ENC[x"}}, ["data.a"]),
        (
            {"metadata": {"annotations": {}}},
            {
                "metadata": {
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": SECRET}
                }
            },
            ["metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]"],
        ),
    ],
)
def test_no_secret_value_is_shown(
    before: dict[str, object], after: dict[str, object], paths: list[str]
) -> None:
    for pair in ((before, after), (after, before)):
        found = differences(*pair)
        assert found
        assert {item.path for item in found} <= set(paths)
        assert SECRET not in repr(found)


def test_a_hidden_value_that_differs() -> None:
    found = differences(secret(data={"a": "x"}), secret(data={"a": "y"}))
    assert found == (FieldDifference(path="data.a", before="(hidden)", after="(hidden)"),)
    assert str(found[0]) == "data.a: (hidden) differs"


def test_a_hidden_value_that_is_equal() -> None:
    same = secret(data={"a": "x"}, stringData={"b": "y"})
    assert differences(same, dict(same)) == ()
