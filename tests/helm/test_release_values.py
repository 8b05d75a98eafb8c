"""The values that a chart gets from a HelmRelease."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.helm import release_values
from fleet.kube.manifest import Manifest
from tests.helm.support import Repository, chart, held, release

# These tests run programs or servers.
pytestmark = pytest.mark.slow

KEYS = st.sampled_from("abc")
VALUES = st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner), max_leaves=6)
MAPPINGS = st.dictionaries(KEYS, VALUES)


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def charts(repository: Repository) -> Repository:
    repository.write(chart({"values.yaml": "size: 1\nchild: {a: 1}\n"}))
    return repository


def reference(kind: str = "ConfigMap", **more: Any) -> dict[str, object]:  # noqa: ANN401
    return {"kind": kind, "name": "values", **more}


def test_the_order_of_values(charts: Repository) -> None:
    """Later references win over earlier ones, and the release's own values win over all."""
    objects = [
        held("ConfigMap", {"values.yaml": "a: 1\nb: 1\nchild: {b: 1}", "more": "b: 2\nc: 2"}),
        held("Secret", {"values.yaml": base64_of("c: 3\nd: 0777\ntime: 1:30\nchild: {a: null}")}),
    ]
    references = [reference(), reference(valuesKey="more"), reference("Secret")]
    made = release(valuesFrom=references, values={"e": 4, "a": 4})
    assert charts.values(made, objects) == {
        "size": 1, "a": 4, "b": 2, "c": 3, "d": 511, "time": "1:30", "e": 4, "child": {"b": 1},
    }  # fmt: skip
    rendering = charts.render(made, objects)
    assert rendering.uses_secrets and rendering.unknown == ()


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("12", {}, 12),
        ("'12'", {}, "12"),
        ("{a,b}", {}, ["a", "b"]),
        ("{a,b}", {"literal": True}, "{a,b}"),
        ("a=b,c\\d", {"literal": True}, "a=b,c\\d"),
        ("true", {}, True),
    ],
)
def test_a_target_path(
    charts: Repository, text: str, more: Mapping[str, Any], expected: object
) -> None:
    made = release(valuesFrom=[reference(targetPath="new.inner\\.key", **more)])
    found = charts.values(made, [held("ConfigMap", {"values.yaml": text})])
    assert found["new"] == {"inner.key": expected}


SHARED = reference(valuesKey="shared")


def at(path: str) -> dict[str, object]:
    return reference(targetPath=path)


@pytest.mark.parametrize(
    ("references", "changed"),
    [
        ([SHARED, at("top")], {}),
        ([SHARED, at("own.x")], {"own": {"x": 9, "d": {"e": 1}}}),
        ([SHARED, at("own.d.e")], {"own": {"x": 1, "d": {"e": 9}}}),
        ([SHARED, at("both.y")], {}),
        ([SHARED, at("list[0]")], {"list": [9]}),
        ([SHARED, at("list[1]")], {}),
        ([SHARED, at("top"), at("own.x")], {}),
        ([SHARED, at("own.x"), at("own.d.e")], {"own": {"x": 9, "d": {"e": 1}}}),
        ([at("own.x"), SHARED], {"own": {"x": 9, "d": {"e": 1}}}),
        ([SHARED, at("new.a"), at("new.b")], {"new": {"a": 9, "b": 9}}),
    ],
)
def test_a_target_path_and_the_values_of_the_release(
    repository: Repository, references: list[dict[str, object]], changed: Mapping[str, object]
) -> None:
    """The expected values are those of Flux's own library, github.com/fluxcd/pkg/chartutil."""
    repository.write(chart({"values.yaml": ""}))
    objects = [held("ConfigMap", {"values.yaml": "9", "shared": "both: {x: 1}"})]
    values = {"top": 1, "own": {"x": 1, "d": {"e": 1}}, "both": {"y": 1}, "list": [1]}
    found = repository.values(release(valuesFrom=references, values=values), objects)
    assert found == {**values, "both": {"x": 1, "y": 1}, **changed}


@pytest.mark.parametrize(
    ("objects", "more", "unknown"),
    [
        ([], {}, ("Secret apps/values: values.yaml",)),
        ([], {"optional": True}, ("Secret apps/values: values.yaml",)),
        (
            [held("Secret", {"password": "ENC[AES256_GCM,data:x]"})],
            {"valuesKey": "password", "targetPath": "a"},
            ("Secret apps/values: password",),
        ),
        (
            [held("Secret", {"password": base64_of("p4ssw0rd")})],
            {"valuesKey": "password", "targetPath": "password"},
            ("Secret apps/values: password",),
        ),
        ([held("Secret", {"other": ""})], {"optional": True}, ()),
    ],
)
def test_values_that_only_the_cluster_has(
    charts: Repository,
    objects: list[Manifest],
    more: Mapping[str, Any],
    unknown: tuple[str, ...],
) -> None:
    rendering = charts.render(release(valuesFrom=[reference("Secret", **more)]), objects)
    assert (rendering.problem, rendering.unknown) == (None, unknown)
    assert not rendering.uses_secrets and len(rendering.objects) == 1


def test_string_data_of_a_secret(charts: Repository) -> None:
    secret = {
        **held("Secret", {"values.yaml": base64_of("a: 1")}),
        "stringData": {"values.yaml": "a: 2"},
    }
    assert charts.values(release(valuesFrom=[reference("Secret")]), [secret])["a"] == 2


def test_problems_of_references(charts: Repository) -> None:
    made = release(valuesFrom=[reference()])
    found = charts.render(made, [held("ConfigMap", {"a": "b"})]).problem
    assert found == "spec.valuesFrom: ConfigMap apps/values has no key values.yaml; add it"
    secret = release(valuesFrom=[reference("Secret")])
    found = charts.render(secret, [held("Secret", {"values.yaml": "p4ssw0rd!"})]).problem
    assert found is not None and "is no base64" in found and "p4ssw0rd" not in found


def test_no_message_shows_a_secret(repository: Repository) -> None:
    repository.write(chart({"templates/bad.yaml": "{{ fail .Values.password }}"}))
    made = release(valuesFrom=[reference("Secret")])
    objects = [held("Secret", {"values.yaml": base64_of("password: p4ssw0rd")})]
    assert repository.render(made, objects).problem == (
        "helm fails; its message is not shown, since the values come from a Secret too"
    )


def test_a_problem_without_values_is_shown(repository: Repository) -> None:
    repository.write({"values.yaml": b""})
    objects = [held("Secret", {"values.yaml": base64_of("password: p4ssw0rd")})]
    found = repository.render(release(valuesFrom=[reference("Secret")]), objects).problem
    assert found == "the chart has no Chart.yaml; correct its name or path"


def test_a_failure_names_what_is_not_known(repository: Repository) -> None:
    repository.write(chart({"templates/bad.yaml": '{{ required "no host" .Values.host }}'}))
    found = repository.render(release(valuesFrom=[reference("Secret")])).problem
    assert found is not None and "no host" in found
    assert found.endswith("(values that only the cluster has: Secret apps/values: values.yaml)")


@given(MAPPINGS, MAPPINGS)
def test_merged_values(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = json.dumps([first, second])
    found = release_values.merged(first, second)
    assert json.dumps([first, second]) == before
    assert found.keys() == first.keys() | second.keys()
    for key, value in found.items():
        old, new = first.get(key), second.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            assert value == release_values.merged(old, new)
        else:
            assert value == (new if key in second else old)
