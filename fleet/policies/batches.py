"""The runs of Kyverno's command line: few runs, each with objects that it can hold together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fleet.policies.policy import Policy
from fleet.policies.subject import Place, Subject, View

# A run keeps all of its objects in memory.
_MAX_SUBJECTS = 250
# A start of the program takes as long as about so many objects.
_MIN_SUBJECTS = 20


@dataclass(frozen=True, kw_only=True)
class Run:
    """Policies, each of which judges each of some subjects.

    No two subjects have the same identity, and none have different views of one namespace.
    """

    policies: Sequence[Policy]
    subjects: Sequence[Subject]


@dataclass(kw_only=True)
class _Layer:
    """Subjects that one run can hold."""

    subjects: dict[Place, Subject] = field(default_factory=dict)
    views: dict[str, View | None] = field(default_factory=dict)

    def add(self, subject: Subject) -> bool:
        """Add a subject, unless it does not fit to the others; tell whether it fits."""
        place = subject.place
        view = self.views.setdefault(place.namespace, subject.view)
        if place in self.subjects or view != subject.view:
            return False
        self.subjects[place] = subject
        return True


def runs(pairs: Iterable[tuple[Subject, Sequence[Policy]]], at_once: int) -> list[Run]:
    """Return the runs that judge each subject by its policies, `at_once` of them at a time."""
    by_policies: dict[tuple[str, ...], tuple[Sequence[Policy], list[Subject]]] = {}
    for subject, policies in pairs:
        # A run with CRDs is slower, so others go without.
        key = (str(subject.crd is None), *sorted(policy.key for policy in policies))
        by_policies.setdefault(key, (policies, []))[1].append(subject)
    return [
        Run(policies=policies, subjects=part)
        for policies, subjects in by_policies.values()
        for layer in _layers(subjects)
        for part in _parts(layer, at_once)
    ]


def _layers(subjects: Iterable[Subject]) -> list[list[Subject]]:
    layers: list[_Layer] = []
    # The first layers are full of earlier variants of the same object.
    first: dict[Place, int] = {}
    for subject in subjects:
        number = first.get(subject.place, 0)
        while number < len(layers) and not layers[number].add(subject):
            number += 1
        if number == len(layers):
            layers.append(_Layer())
            layers[number].add(subject)
        first[subject.place] = number + 1
    return [[*layer.subjects.values()] for layer in layers]


def _parts(subjects: Sequence[Subject], at_once: int) -> Iterator[Sequence[Subject]]:
    size = min(_MAX_SUBJECTS, max(_MIN_SUBJECTS, -(-len(subjects) // at_once)))
    for start in range(0, len(subjects), size):
        yield subjects[start : start + size]
