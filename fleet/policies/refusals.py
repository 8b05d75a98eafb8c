"""The verdicts of policies in words, and those that a change brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleet.inventory import model
from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding, listed
from fleet.inventory.model import Progress
from fleet.policies import judgement
from fleet.policies.judgement import NOT_FOUND, Judgement, Verdict

_REMEDY = "correct the object, or except it by a PolicyException"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The objects of a cluster that one policy refuses, the first message, and the consequence."""

    policy: str
    objects: tuple[str, ...]
    message: str
    consequences: tuple[str, ...]

    def __str__(self) -> str:
        count = f"{len(self.objects)} object{'s' if len(self.objects) > 1 else ''}"
        return (
            f"{self.policy} would refuse {count}: {listed(self.objects)}: {self.message}; "
            f"{'; '.join(self.consequences)}"
        )


def findings(judgements: Mapping[str, Judgement]) -> list[Finding]:
    """Return a finding for each object that a policy refuses in some clusters, given by name."""
    return [
        Finding(
            file=first.object.path,
            object=first.object.display_name,
            problem=f"{_rule(first)} would refuse it in {listed(names)}: {first.message}; "
            f"{_consequence(first.object)}; {_REMEDY}",
        )
        for first, names in _by_text((name, found.refused) for name, found in judgements.items())
    ]


def reports(judgements: Mapping[str, Judgement]) -> list[Finding]:
    """Return each object that a policy only reports in some clusters, given by name."""
    return [
        Finding(
            file=first.object.path,
            object=first.object.display_name,
            problem=f"{_rule(first)} reports it in {listed(names)}: {first.message}",
        )
        for first, names in _by_text((name, found.reported) for name, found in judgements.items())
    ]


def not_judged(judgements: Iterable[tuple[str, Judgement]]) -> list[str]:
    """Return a line for each policy that is not judged, with the clusters, given by name."""
    texts = [(name, line) for name, found in judgements for line in found.not_judged]
    if any(line == NOT_FOUND for _, line in texts):
        return [NOT_FOUND]
    return model.by_text(texts)


def unrendered(judgements: Iterable[tuple[str, Judgement]]) -> list[str]:
    """Return a line for each HelmRelease whose objects no policy judges, with the clusters."""
    return model.by_text(
        (name, f"policies do not judge all objects: {line}")
        for name, found in judgements
        for line in found.unrendered
    )


def _by_text(
    verdicts: Iterable[tuple[str, Iterable[Verdict]]],
) -> Iterator[tuple[Verdict, list[str]]]:
    """Yield equal verdicts once, with the names of the clusters that have them."""
    found: dict[tuple[str, ...], tuple[Verdict, dict[str, None]]] = {}
    for name, own in verdicts:
        for verdict in own:
            key = (verdict.object.path, *verdict.ids, verdict.rule, verdict.message)
            found.setdefault(key, (verdict, {}))[1][name] = None
    for verdict, names in found.values():
        yield verdict, [*names]


def _rule(verdict: Verdict) -> str:
    rule = f", rule {verdict.rule}," if verdict.rule else ""
    return f"{verdict.policy.display_name}{rule}"


def _consequence(built: BuiltObject) -> str:
    if built.is_released:
        return f"Helm then fails the whole {built.applied_by}"
    return f"Flux then refuses the whole Kustomization {built.applied_by}"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A state of a cluster after a change, and those before it, in which a refusal is no news."""

    before: Sequence[ClusterBuild]
    after: ClusterBuild


def refusals(
    transitions: Sequence[Transition], progress: Progress
) -> list[tuple[tuple[Refusal, ...], Judgement]]:
    """Return what policies newly refuse after each change, with the judgement after it.

    A state that several transitions have is judged once.
    """
    states = {id(build): build for found in transitions for build in (*found.before, found.after)}
    judged = dict(zip(states, judgement.judge([*states.values()], progress), strict=True))
    return [
        (
            tuple(_new([judged[id(build)] for build in found.before], judged[id(found.after)])),
            judged[id(found.after)],
        )
        for found in transitions
    ]


def _new(before: Iterable[Judgement], after: Judgement) -> Iterator[Refusal]:
    known = {verdict.ids for judged in before for verdict in judged.refused}
    by_policy: dict[str, list[Verdict]] = {}
    for verdict in after.refused:
        if verdict.ids not in known:
            by_policy.setdefault(verdict.policy.display_name, []).append(verdict)
    for policy, found in by_policy.items():
        yield Refusal(
            policy=policy,
            objects=tuple(dict.fromkeys(verdict.object.display_name for verdict in found)),
            message=found[0].message,
            consequences=tuple(dict.fromkeys(_consequence(verdict.object) for verdict in found)),
        )
