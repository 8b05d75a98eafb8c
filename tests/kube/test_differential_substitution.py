"""Hold the substitution of variables against Flux's own, on random objects and values."""

# ruff: noqa: E501 - the texts are easier to compare in long lines
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fleet.errors import CommandError
from fleet.kube import substitution
from tests.check.peers import answers

pytestmark = pytest.mark.slow

NAMES = ["a", "b", "_c1", "cluster"]
# Each is a value that YAML, a pattern or a function could take for something else.
VALUES = [
    "", "x", "10", "0x1F", "010", "1_000", "1e3", ".5", "1.0", "-7", "0b11", "08", "9007199254740993",
    "18446744073709551615", "99999999999999999999", "true", "No", "y", "null", "~", "on", ".inf",
    "2001-12-14", "2001-12-14 21:59:43.1", "12:30", "a: b", "a #b", " a ", "- a", "[a, 1]", "{k: v}",
    "'", '"', "a'b", 'a"b', "x,y", "*x", "&x y", "!!int 3", "!!str 3", "!x y", "%a", "@a", "`a`", "|",
    ">", "\n", "a\nb", "line one\nline two\n", "\t", "é", "aé日本", "ß", "İx", "/a/b/c", "a*b", "a\\b", "$a",
    "$$", "${b}", "=", "<<", "-", "a:", "a,b=c", "https://x.example:8080/y?z=1#f", "\U0001f600", "\x07",
]  # fmt: skip
TEXTS = [
    "${a}", "x-${a}", "${a}.example", "${a}${b}", "${a}-${b}-${cluster}", "$${a}", "$$", "$$$", "$$${a}",
    "$a", "$", "a$", "${a:-10}", "${n:-10}", "${n:-}", "${n:=a b}", "${n=x}", "${n:-${b}}", "${n:-x${b}y}",
    "${n-x}", "${n:?x}", "${n:+x}", "${a:+x}", "${#a}", "${#n}", "${a^}", "${a^^}", "${a,}", "${a,,}",
    "${a^,}", "${a:1}", "${a:1:2}", "${a:-2}", "${a: -2}", "${a:1:-1}", "${a:2:-3}", "${a:x}", "${a:9}",
    "${a:+1}", "${a::2}", "${a:é}", "${a/x/y}", "${a//x/y}", "${a/#x/y}", "${a/%x/y}", "${a/x/}", "${a/x}",
    "${a/\\//-}", "${a//\\//-}", "${a/${b}/c}", "${a#*/}", "${a##*/}", "${a%/*}", "${a%%/*}", "${a#x}", "${a#?}",
    "${a%?}", "${a#[a-z]}", "${a#[^x]}", "${a#[}", "${a#\\}", "${a%[a-}", "${a%}", "${a#}", "${!a}", "${a[@]}",
    "${a[0]}", "${}", "${", "${a", "${a b}", "${1}", "${é}", "${_c1}", "${n}", "}${a}", "{${a}}", "'${a}'",
    '"${a}"', "${a}: ${b}", "# ${a}", "${a} # ${b}", "- ${a}", "yes ${a}", "#!/bin/sh\necho ${a}\n",
    "a: ${a}\nb: '${b}'\n", "a: ${a}", "  ${a}\nx", "${a}\n", "\n${a}", "${a}\n\n", "${n:-x\ny}", "k=${a},${b}",
    "a" * 70 + " b ${a} c " + "d" * 70, "\t${a}", "${a}\u2028x", "${a:${b}:1}", "${a:0:${b}}", "\x07${a}",
    "${a:-a:b}", "${n:-a: b}", "${n:-'q'}", '${n:-"q"}', "${n:=$$}", "${n/a/b}", "${a/$$/x}", "${a###}",
]  # fmt: skip
KEYS = ["k", "${a}", "x-${b}", "$$k", "${n:-10}", "a b", "0x1", "true", "y", "a: b", "k" * 130]
OTHERS: list[Any] = [
    "plain", "", "1", "true", "yes", "null", "1e3", "12:30", " x", "a\nb\n", "a: b", "-", "2001-01-01", "=",
    "<<", "~", "é", "'q'", 1, 0, -5, 1.5, True, False, None, [], {}, [[]], [{}], [{"a": []}],
]  # fmt: skip


def question(
    data: object, by_name: Mapping[str, str], metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "object": {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "metadata": {"name": "thing", "namespace": "apps", **(metadata or {})},
            "spec": data,
        },
        "spec": {"postBuild": {"substitute": dict(by_name)}},
        "configMaps": {},
    }


def ours(asked: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the object and the problem, of which one is None or empty."""
    config_maps: Mapping[str, Any] = asked["configMaps"]
    try:
        found = substitution.values(asked["spec"], config_maps.get)
        manifest = asked["object"]
        if found is None:
            return manifest, ""
        substituted = substitution.template(manifest).substitute(found)
    except CommandError as error:
        return None, str(error)
    if substituted.missing:
        return None, f"missing: {sorted(substituted.missing)}"
    return substituted.manifest, ""


def differences(questions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each question that fleet and Flux answer differently."""
    found = []
    for asked, theirs in zip(questions, answers("flux-substitution", questions), strict=True):
        # kustomize cannot read what it has written of a text such as "\\ta\\nb", so none is built.
        if "failed to convert map to YAML node" in theirs["error"]:
            continue
        manifest, problem = ours(asked)
        both_refuse = bool(problem) and bool(theirs["error"])
        if not both_refuse and (problem or theirs["error"] or manifest != theirs["object"]):
            found.append(f"{asked}\n  fleet {problem or manifest}\n  Flux  {theirs}")
    return found


def test_every_text_with_values_that_look_like_something_else() -> None:
    chance = random.Random("values")  # noqa: S311 - the same values in each run
    questions = []
    for text in TEXTS:
        for value in VALUES:
            others = {name: chance.choice(VALUES) for name in ("b", "_c1", "cluster")}
            questions.append(question({"x": [text]}, {"a": value, **others}))
    assert len(questions) > 5000
    assert differences(questions)[:5] == []


# Pieces of which a text of this language, or one that Flux refuses, can be made.
_PIECES = [
    "${",
    "}",
    "a",
    "n",
    "$",
    "{",
    ":",
    "-",
    "=",
    "/",
    "#",
    "%",
    "^",
    ",",
    "*",
    "x",
    "1",
    " ",
    "\\",
    "é",
]
_PIECES += ["\n", "?", "+", "[", "]", "'", '"', "${a", "${b}", "${n:-"]
_TEXTS = st.one_of(
    st.sampled_from(TEXTS),
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(TEXTS), min_size=2, max_size=3).map("".join),
)
_VALUES = st.one_of(
    st.sampled_from(VALUES), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
)
_DATA = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), st.just("k")),
    st.recursive(
        st.one_of(_TEXTS, st.sampled_from(OTHERS)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=3,
)
_QUESTIONS = st.builds(question, _DATA, st.dictionaries(st.sampled_from(NAMES), _VALUES))


# A difference names one object, so there is nothing to shrink.
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)
@given(st.lists(_QUESTIONS, min_size=60, max_size=120))
def test_random_objects(questions: list[dict[str, Any]]) -> None:
    assert differences(questions)[:1] == []


def test_sources_of_values_and_the_switch() -> None:
    data = {"x": "${a}-${b:-none}"}
    from_map = {"kind": "ConfigMap", "name": "one"}
    optional = {"kind": "ConfigMap", "name": "none", "optional": True}
    specs: list[dict[str, Any]] = [
        {},
        {"postBuild": {}},
        {"postBuild": {"substituteStrategy": "Always"}},
        {"postBuild": {"substitute": {}}},
        {"postBuild": {"substituteFrom": [from_map]}},
        {"postBuild": {"substituteFrom": [from_map, {**from_map, "name": "two"}]}},
        {"postBuild": {"substituteFrom": [from_map], "substitute": {"a": "inline"}}},
        {"postBuild": {"substitute": {"a": "1"}, "substituteFrom": []}},
    ]
    marks: list[dict[str, Any]] = [{}]
    for key in ("labels", "annotations"):
        for value in ("disabled", "enabled"):
            marks.append({key: {"kustomize.toolkit.fluxcd.io/substitute": value}})
    config_maps = {"one": {"a": "first", "b": "l1\nl2\n"}, "two": {"a": "second"}}
    questions = [
        question(data, {}, mark) | {"spec": spec, "configMaps": config_maps}
        for spec in specs
        for mark in marks
    ]
    wrong_name = {"postBuild": {"substitute": {"no-name": "1", "a": "2"}}}
    questions.append(question(data, {}) | {"spec": wrong_name, "configMaps": {}})
    assert differences(questions) == []
    # Without a cluster nobody knows a ConfigMap that is no part of the tree.
    unknown = substitution.values(
        {"postBuild": {"substituteFrom": [from_map, optional]}}, lambda _: None
    )
    assert unknown == substitution.Values(by_name={}, are_complete=False)
