"""The runs of Kyverno's command line, which holds no two objects of one identity."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.policies import batches
from fleet.policies.policy import Policy
from fleet.policies.subject import Namespaces, Subject
from tests.policies.support import namespace, pod, validating

BY_LABEL = {
    "resourceRules": [],
    "namespaceSelector": {"matchLabels": {"team": "a"}},
}
FIRST = Policy(manifest=validating())
SECOND = Policy(manifest=validating(matchConstraints=BY_LABEL))


def subject(manifest: dict[str, Any], *namespaces: dict[str, Any]) -> Subject:
    by_name = {found["metadata"]["name"]: found for found in namespaces}
    name = manifest["metadata"]["namespace"]
    view = Namespaces(by_name=by_name).view(name, SECOND) if namespaces else None
    return Subject(manifest=manifest, view=view)


def test_one_run_has_all_objects_of_the_same_policies() -> None:
    pairs = [(subject(pod(f"pod-{number}")), [FIRST, SECOND]) for number in range(15)]
    pairs += [(subject(pod(f"other-{number}")), [FIRST]) for number in range(5)]
    found = batches.runs(pairs, 2)
    assert [(len(run.policies), len(run.subjects)) for run in found] == [(2, 15), (1, 5)]


def test_many_objects_are_divided_among_processes() -> None:
    pairs = [(subject(pod(f"pod-{number}")), [FIRST]) for number in range(1100)]
    assert [len(run.subjects) for run in batches.runs(pairs[:100], 2)] == [50, 50]
    assert [len(run.subjects) for run in batches.runs(pairs, 2)] == [250, 250, 250, 250, 100]


def test_variants_of_an_object_are_in_different_runs() -> None:
    variants = [subject(pod("same", nodeName=str(number))) for number in range(3)]
    others = [subject(pod(f"pod-{number}")) for number in range(2)]
    found = batches.runs([(item, [FIRST]) for item in [*variants, *others]], 1)
    assert [len(run.subjects) for run in found] == [3, 1, 1]


def test_views_of_a_namespace_are_in_different_runs() -> None:
    one = subject(pod("one"), namespace("common", team="a"))
    two = subject(pod("two"), namespace("common", team="b"))
    found = batches.runs([(one, [SECOND]), (two, [SECOND])], 1)
    assert [run.subjects for run in found] == [[one], [two]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["x", "y"]),
            st.sampled_from(["1", "2", None]),
        )
    )
)
def test_every_object_is_in_one_run_that_can_hold_it(
    items: list[tuple[str, str, str | None]],
) -> None:
    subjects = []
    for number, (name, space, team) in enumerate(items):
        views = [namespace(space, team=team)] if team else []
        subjects.append(subject(pod(name, space, nodeName=str(number)), *views))
    found = batches.runs([(item, [FIRST]) for item in subjects], 2)
    judged = [item for run in found for item in run.subjects]
    assert sorted(item.key for item in judged) == sorted(item.key for item in subjects)
    for run in found:
        assert len({item.place for item in run.subjects}) == len(run.subjects)
        for space in ("x", "y"):
            own = [item.view for item in run.subjects if item.place.namespace == space]
            assert all(view == own[0] for view in own)
