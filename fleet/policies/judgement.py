"""The judgement of clusters by their own policies, each object judged once for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import listed
from fleet.inventory.model import Progress
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.once import once_for_each
from fleet.policies import batches, known_outcomes, obstacles, own_policies, program, subject
from fleet.policies.outcome import ERROR, FAIL, UNREAD, WARN, Outcome
from fleet.policies.own_policies import OwnPolicies, OwnPolicy, Shared
from fleet.policies.policy import Policy
from fleet.policies.program import Kyverno
from fleet.policies.subject import Subject

NOT_FOUND = (
    "policies are not judged: kyverno: not found; put Kyverno's command line on PATH or run "
    "`make tools`"
)
_UNKNOWN_VALUES = "only the cluster knows some of their values"
_PINS_DIGESTS = "does not have a digest"
_HIDDEN = "its message is not shown, since the object has values of a Secret"
# Each process of Kyverno takes some hundred MB.
_MAX_AT_ONCE = 4
PROCESSORS = min(_MAX_AT_ONCE, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A policy that an object of its cluster violates, the rule (may be empty) and the message."""

    policy: BuiltObject
    object: BuiltObject
    rule: str
    message: str

    @property
    def ids(self) -> tuple[str, str]:
        """The policy and the object, as texts."""
        return self.policy.display_name, self.object.display_name


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The objects of a cluster that policies refuse, those that they report, and what is not known.

    `not_judged` has a line for each policy, or part of one, that cannot be judged here, and
    `unrendered` one for each HelmRelease whose objects policies should judge too.
    """

    refused: Sequence[Verdict] = ()
    reported: Sequence[Verdict] = ()
    not_judged: Sequence[str] = ()
    unrendered: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A policy of a cluster and an object that it may select."""

    own: OwnPolicy
    built: BuiltObject
    subject: Subject


# The outcomes by the keys of policy and subject.
_Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]


def judge(
    clusters: Sequence[ClusterBuild],
    progress: Progress,
    *,
    with_audit: bool = False,
    processors: int = PROCESSORS,
) -> list[Judgement]:
    """Return the judgement of each cluster. Without `with_audit`, only what refuses is judged.

    Kyverno's program runs `processors` times at once; without it nothing is judged, and one line
    says so.
    """
    shared = Shared()
    all_own = [own_policies.of_cluster(cluster, shared) for cluster in clusters]
    wanted = [_wanted(own, with_audit=with_audit) for own in all_own]
    kyverno = program.find()
    if kyverno is None:
        return [Judgement(not_judged=[NOT_FOUND] if found else ()) for found in wanted]
    subjects: dict[object, Subject] = {}
    pairs = [[*_pairs(own, found, subjects)] for own, found in zip(all_own, wanted, strict=True)]
    outcomes = _outcomes_of(kyverno, chain.from_iterable(pairs), progress, processors)
    return [
        _Judging(cluster=cluster, own=own, wanted=found, outcomes=outcomes).judgement(own_pairs)
        for cluster, own, found, own_pairs in zip(clusters, all_own, wanted, pairs, strict=True)
    ]


def _wanted(own: OwnPolicies, *, with_audit: bool) -> list[OwnPolicy]:
    return [found for found in own.policies if with_audit or found.policy.may_deny]


def _pairs(
    own: OwnPolicies, wanted: Iterable[OwnPolicy], known: dict[object, Subject]
) -> Iterator[_Pair]:
    """Yield each policy with each object that it may select and that Kyverno gives to it.

    `known` has the subjects of other clusters, which may be equal.
    """
    judged = [found for found in wanted if _is_judged(found.policy)]
    selecting: dict[tuple[str, str], list[OwnPolicy]] = {}
    for built in own.objects if judged else ():
        kind = _kind(built.manifest)
        if kind not in selecting:
            selecting[kind] = [found for found in judged if found.policy.may_select(built)]
        if not selecting[kind] or not subject.can_be_judged(built):
            continue
        name = built.namespace or ""
        if own.configuration.is_filtered(built, own.namespaces.labels(name)):
            continue
        for found in selecting[kind]:
            # The command line judges all namespaces by a policy of one.
            if found.policy.namespace not in ("", name):
                continue
            view = own.namespaces.view(name, found.policy)
            key = (id(built.manifest), view and view.text)
            if key not in known:
                # The subject keeps its object, so that no other one gets its number.
                known[key] = Subject(manifest=built.manifest, view=view)
            yield _Pair(own=found, built=built, subject=known[key])


@once_for_each
def _kind(manifest: Manifest) -> tuple[str, str]:
    found = object_id(manifest)
    return found.group, found.kind


def _is_judged(policy: Policy) -> bool:
    return policy.is_judged and (not policy.is_about_images or bool(program.without_network()))


def _outcomes_of(
    kyverno: Kyverno, pairs: Iterable[_Pair], progress: Progress, processors: int
) -> _Outcomes:
    """Return the outcomes of all pairs: those of earlier runs, and the others from Kyverno."""
    policies: dict[str, Policy] = {}
    subjects: dict[str, dict[str, Subject]] = {}
    for pair in pairs:
        policy = pair.own.policy
        policies[policy.key] = policy
        subjects.setdefault(policy.key, {})[pair.subject.key] = pair.subject
    files = {
        key: known_outcomes.file_of(policy, kyverno.identity) for key, policy in policies.items()
    }
    before = {key: known_outcomes.read(file) for key, file in files.items()}
    unknown = _Unknown()
    for key, policy in policies.items():
        for subject_key, found in subjects[key].items():
            if subject_key not in before[key]:
                unknown.add(policy, found)
    added = _run(kyverno, unknown, progress, processors)
    for key, outcomes in added.items():
        known_outcomes.add(files[key], outcomes)
    return {
        (key, subject_key): outcomes
        for found in (before, added)
        for key, by_subject in found.items()
        for subject_key, outcomes in by_subject.items()
    }


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    """The subjects that must be judged, and the policies of each."""

    subjects: dict[str, tuple[Subject, list[Policy]]] = field(default_factory=dict)

    def add(self, policy: Policy, found: Subject) -> None:
        """Add a pair. Policies about images get runs of their own."""
        key = f"{policy.is_about_images} {found.key}"
        self.subjects.setdefault(key, (found, []))[1].append(policy)


def _run(
    kyverno: Kyverno, unknown: _Unknown, progress: Progress, processors: int
) -> dict[str, dict[str, Sequence[Outcome]]]:
    """Return the outcomes of new pairs, by the key of the policy and then of the subject."""
    if not unknown.subjects:
        return {}
    progress(f"judging {len(unknown.subjects)} objects by policies")
    runs = batches.runs(unknown.subjects.values(), processors)
    added: dict[str, dict[str, Sequence[Outcome]]] = {}
    with ThreadPoolExecutor(processors) as executor:
        for run, found in zip(runs, executor.map(kyverno.judge, runs), strict=True):
            for (key, number), outcomes in found.items():
                added.setdefault(key, {})[run.subjects[number].key] = outcomes
    return added


@dataclass(frozen=True, kw_only=True)
class _Judging:
    """The outcomes for one cluster, read as what its Kyverno would do."""

    cluster: ClusterBuild
    own: OwnPolicies
    wanted: Sequence[OwnPolicy]
    outcomes: _Outcomes
    refused: list[Verdict] = field(default_factory=list)
    reported: list[Verdict] = field(default_factory=list)
    # The objects that a policy is not judged for, by the policy and the reason.
    unknown: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def judgement(self, pairs: Iterable[_Pair]) -> Judgement:
        """Return the judgement of the cluster."""
        for pair in pairs:
            self._read(pair)
        return Judgement(
            refused=self.refused,
            reported=self.reported,
            not_judged=[*self._not_judged()],
            unrendered=[*self.cluster.released.unrendered.values()] if self.wanted else (),
        )

    def _read(self, pair: _Pair) -> None:
        policy, built = pair.own.policy, pair.built
        outcomes = self.outcomes[policy.key, pair.subject.key]
        if outcomes and (built.is_encrypted or built.has_unknown_variables):
            self._add_unknown(pair, _UNKNOWN_VALUES)
            return
        is_secret = built.holds_secrets or (built.kind, built.group) == ("Secret", "")
        for outcome in outcomes:
            shown = outcome._replace(message=_HIDDEN) if is_secret else outcome
            if reason := _reason(policy, outcome, shown.message):
                self._add_unknown(pair, reason)
            elif outcome.status in (FAIL, WARN, ERROR):
                self._add_verdict(pair, shown)

    def _add_unknown(self, pair: _Pair, reason: str) -> None:
        names = self.unknown.setdefault((pair.own.built.display_name, reason), [])
        if pair.built.display_name not in names:
            names.append(pair.built.display_name)

    def _add_verdict(self, pair: _Pair, outcome: Outcome) -> None:
        name = pair.built.namespace or ""
        verdict = Verdict(
            policy=pair.own.built,
            object=pair.built,
            rule=outcome.rule,
            message=outcome.message.removesuffix("."),
        )
        labels = self.own.namespaces.labels(name)
        is_refused = pair.own.policy.denies(outcome.rule, name, labels)
        (self.refused if is_refused else self.reported).append(verdict)

    def _not_judged(self) -> Iterator[str]:
        if not self.wanted:
            return
        for found in self.wanted:
            for reason in found.policy.obstacles:
                yield f"{found.built.display_name} is not judged: {reason}"
            if found.policy.is_judged and not _is_judged(found.policy):
                yield f"{found.built.display_name} is not judged: {obstacles.ASKS_REGISTRY}"
        for (name, reason), objects in self.unknown.items():
            yield f"{name} is not judged for {len(objects)} objects ({listed(objects)}): {reason}"
        for built in self.own.mutating:
            yield f"{built.display_name} may change objects; policies judge them as the files are"
        for built in self.own.ignored:
            yield f"{built.display_name} has no effect: Kyverno's arguments switch it off"


def _reason(policy: Policy, outcome: Outcome, message: str) -> str:
    """Return the reason why an outcome says nothing about the cluster, an empty text if it does.

    `message` is that of the outcome as it may be shown.
    """
    if outcome.status == UNREAD:
        return f"Kyverno's command line cannot read the policy or the object: {message}"
    if policy.is_about_images:
        settings = mapping_at(policy.spec, "validationConfigurations")
        pins = settings.get("mutateDigest") is not False
        is_unpinned = outcome.status == FAIL and pins and _PINS_DIGESTS in outcome.message
        return obstacles.ASKS_REGISTRY if outcome.status == ERROR or is_unpinned else ""
    if policy.is_older and outcome.status == ERROR:
        return f"Kyverno's command line fails: {message}"
    return ""
