"""Semantic versions, compared with those of the real helm."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.helm import versions
from fleet.helm.program import Helm
from fleet.process import find_program

# These tests run programs or servers.
pytestmark = pytest.mark.slow

NUMBERS = st.lists(st.integers(0, 11).map(str), min_size=3, max_size=3).map(".".join)
BEFORE = st.sampled_from(["", "-1", "-2", "-10", "-a", "-a.1", "-a.b", "-rc", "-rc.1"])
BUILD = st.sampled_from(["", "+1", "+b"])
VERSIONS = st.builds("{}{}{}{}".format, st.sampled_from(["", "v"]), NUMBERS, BEFORE, BUILD)
# The order of the specification.
IN_ORDER = [
    "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
    "1.0.0-beta", "v1.0.0", "1.2", "1.2.1+a", "1.10.0", "2",
]  # fmt: skip


def test_the_order_of_versions() -> None:
    found = [version for text in IN_ORDER if (version := versions.parse(text))]
    assert len(found) == len(IN_ORDER)
    assert all(first < second for first, second in itertools.pairwise(found))


@given(VERSIONS, VERSIONS)
def test_any_two_versions_compare(first: str, second: str) -> None:
    one, other = versions.parse(first), versions.parse(second)
    assert one is not None and other is not None
    assert (one < other) + (other < one) + (one == other) == 1
    assert versions.highest([first, second]) == (second if one < other else first)


def test_the_order_is_helms() -> None:
    program = find_program("helm")
    assert program is not None
    pairs = [(first, second) for first in IN_ORDER for second in IN_ORDER]
    lines = [f'r{n}: {{{{ semverCompare "<{b}" "{a}" }}}}' for n, (a, b) in enumerate(pairs)]
    chart = {
        "Chart.yaml": b"apiVersion: v2\nname: a\nversion: 1.0.0\n",
        "templates/a.yaml": "\n".join(lines).encode(),
    }
    (text,) = Helm(path=program).template(chart, [], ["probe"])
    for number, (first, second) in enumerate(pairs):
        one, other = versions.parse(first), versions.parse(second)
        assert one is not None and other is not None
        # A range without a prerelease leaves all of them out.
        is_less = one < other and (not one.before or bool(other.before))
        assert f"r{number}: {'true' if is_less else 'false'}\n" in f"{text}\n", (first, second)


def test_the_latest_version_of_a_range() -> None:
    program = find_program("helm")
    assert program is not None
    helm = Helm(path=program)
    found = ["0.9.0", "1.0.0", "1.2.0", "v1.10.1", "1.11.0-rc.1", "2.0.0", "latest", "3"]
    assert helm.latest("1.x", found) == "v1.10.1"
    assert helm.latest("~1.2", found) == "1.2.0"
    assert helm.latest(">=1.11.0-0 <2", found) == "1.11.0-rc.1"
    assert helm.latest("*", found) == "2.0.0"
    assert helm.latest(">3", found) is None


def test_build_metadata() -> None:
    assert versions.with_metadata("v1.2", "abc") == "1.2.0+abc"
    assert versions.with_metadata("1.2.0-rc.1+x", "abc") == "1.2.0-rc.1+abc"
    assert versions.with_metadata("latest", "abc") is None
