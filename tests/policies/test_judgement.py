"""The judgement of clusters by a Kyverno that this test wrote."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from fleet.inventory.build import ClusterBuild
from fleet.policies import judgement, program, refusals
from fleet.policies.judgement import Judgement
from fleet.policies.outcome import Outcome
from fleet.policies.refusals import Transition
from tests.policies.support import (
    WrittenKyverno,
    built,
    cluster,
    cluster_policy,
    deployment,
    namespace,
    pod,
    rule,
    validating,
)

MESSAGE = "No hostPID"


@pytest.fixture
def kyverno(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> WrittenKyverno:
    found = WrittenKyverno()
    monkeypatch.setattr(program, "find", lambda: found)
    monkeypatch.setattr(program, "without_network", lambda: ("unshare",))
    return found


def judge(*clusters: ClusterBuild, audit: bool = False) -> list[Judgement]:
    return judgement.judge(clusters, lambda _: None, with_audit=audit)


def shown(found: Judgement) -> tuple[list[str], list[str]]:
    refused, reported = (
        [f"{verdict.policy.name}: {verdict.object.display_name}" for verdict in verdicts]
        for verdicts in (found.refused, found.reported)
    )
    return refused, reported


def judged(kyverno: WrittenKyverno) -> int:
    return sum(len(run.policies) * len(run.subjects) for run in kyverno.runs)


def test_each_policy_has_its_own_action(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    audit = validating("audit", validationActions=["Audit"])
    found = cluster(tmp_path, validating("deny"), audit, pod(hostPID=True), deployment())
    assert shown(judge(found)[0]) == (["deny: Pod common/pod"], [])
    assert shown(judge(found, audit=True)[0]) == (
        ["deny: Pod common/pod"],
        ["audit: Pod common/pod"],
    )
    # The two policies say the same, so each object is judged once, and once for all runs.
    assert judged(kyverno) == 2


def test_clusters_cost_what_their_differences_cost(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    policy, shared = validating(), [pod(f"pod-{number}") for number in range(10)]
    clusters = [
        cluster(tmp_path, policy, *shared, pod("own", nodeName=str(number))) for number in range(5)
    ]
    judge(*clusters)
    assert judged(kyverno) == 15
    judge(*clusters, cluster(tmp_path, policy, *shared, pod("own", nodeName="new")))
    assert judged(kyverno) == 16


def test_a_cluster_is_judged_by_its_own_policies_only(
    kyverno: WrittenKyverno, tmp_path: Path
) -> None:
    bad = pod(hostPID=True)
    found = judge(cluster(tmp_path, validating(), bad), cluster(tmp_path, bad))
    assert [len(item.refused) for item in found] == [1, 0]


def test_a_policy_of_a_namespace(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    policy = validating()
    policy["kind"] = "NamespacedValidatingPolicy"
    policy["metadata"]["namespace"] = "a"
    bad = [pod(namespace=name, hostPID=True) for name in ("a", "b")]
    assert shown(judge(cluster(tmp_path, policy, *bad))[0]) == (["a: Pod a/pod"], [])


def test_kyvernos_filters_keep_objects_from_policies(
    kyverno: WrittenKyverno, tmp_path: Path
) -> None:
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "k", "labels": {"app.kubernetes.io/part-of": "kyverno"}},
        "data": {"resourceFilters": "[*/*,kube-system,*]"},
    }
    bad = [pod(namespace=name, hostPID=True) for name in ("kube-system", "b")]
    found = judge(cluster(tmp_path, validating(), settings, *bad))
    assert shown(found[0]) == (["a: Pod b/pod"], [])


def test_overrides_by_namespace(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    policy = cluster_policy(
        rule(),
        validationFailureActionOverrides=[
            {"action": "Enforce", "namespaceSelector": {"matchLabels": {"strict": "yes"}}}
        ],
    )
    spaces = [namespace("a", strict="yes"), namespace("b")]
    bad = [pod(namespace=name, hostPID=True) for name in ("a", "b")]
    found = judge(cluster(tmp_path, policy, *spaces, *bad), audit=True)
    assert shown(found[0]) == (["older: Pod a/pod"], ["older: Pod b/pod"])


def test_what_only_the_cluster_knows_is_named(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    lookup = validating("lookup", "resource.Get('v1', 'pods', 'a', 'b') != null")
    audit = validating(
        "audit", "resource.List('v1', 'pods', 'a').items == []", validationActions=["Audit"]
    )
    unknown = built(pod("unknown", hostPID=True), has_unknown_variables=True)
    encrypted = built({**pod("encrypted"), "sops": {"mac": "a"}})
    mutating = {**validating("changes"), "kind": "MutatingPolicy"}
    found = judge(cluster(tmp_path, lookup, audit, validating(), unknown, encrypted, mutating))
    assert found[0].refused == []
    assert found[0].not_judged == [
        "ValidatingPolicy lookup is not judged: it looks something up that only a cluster can "
        "answer",
        "ValidatingPolicy a is not judged for 2 objects (Pod common/unknown, Pod "
        "common/encrypted): only the cluster knows some of their values",
        "MutatingPolicy changes may change objects; policies judge them as the files are",
    ]


def image_policy(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a part of a manifest
    return {**validating("images", **spec), "kind": "ImageValidatingPolicy"}


@pytest.mark.parametrize(
    ("status", "message", "spec", "is_refused"),
    [
        ("error", "Get https://ghcr.io: refused", {}, False),
        ("fail", "image a does not have a digest", {}, False),
        (
            "fail",
            "image a does not have a digest",
            {"validationConfigurations": {"mutateDigest": False}},
            True,
        ),
        ("fail", "No.", {}, True),
    ],
)
def test_a_policy_about_images_may_need_a_registry(
    status: str,
    message: str,
    spec: dict[str, Any],
    is_refused: bool,
    kyverno: WrittenKyverno,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome = Outcome("images", status, message)
    monkeypatch.setattr(kyverno, "_outcomes", lambda *_: [outcome])
    (found,) = judge(cluster(tmp_path, image_policy(**spec), pod()))
    assert bool(found.refused) is is_refused
    assert bool(found.not_judged) is not is_refused


def test_a_policy_about_images_runs_only_without_a_network(
    kyverno: WrittenKyverno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "without_network", tuple)
    (found,) = judge(cluster(tmp_path, image_policy(), pod(hostPID=True)))
    assert kyverno.runs == []
    assert found.not_judged == [
        "ImageValidatingPolicy images is not judged: it asks registries for images, and nothing "
        "here uses the network"
    ]


@pytest.mark.parametrize(
    ("manifest", "fields"),
    [
        ({**pod(hostPID=True), "kind": "Secret"}, {}),
        (pod(hostPID=True), {"holds_secrets": True}),
    ],
)
def test_a_message_shows_no_secret(
    manifest: dict[str, Any], fields: dict[str, Any], kyverno: WrittenKyverno, tmp_path: Path
) -> None:
    everything = {"apiGroups": ["*"], "operations": ["CREATE"], "resources": ["*"]}
    policy = validating(matchConstraints={"resourceRules": [everything]})
    policy["spec"]["matchConstraints"]["objectSelector"] = {"matchLabels": {}}
    (found,) = judge(cluster(tmp_path, policy, built(manifest, **fields)))
    messages = [verdict.message for verdict in found.refused if verdict.object.name == "pod"]
    assert messages == ["its message is not shown, since the object has values of a Secret"]


def test_without_kyverno_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program, "find", lambda: None)
    bad = pod(hostPID=True)
    clusters = {
        name: cluster(tmp_path, *objects)
        for name, objects in {
            "dev": [bad],
            "prod": [validating(), bad],
            "test": [validating(validationActions=["Audit"]), bad],
            "east": [validating(), bad],
        }.items()
    }
    found = judge(*clusters.values())
    assert [len(item.refused) for item in found] == [0, 0, 0, 0]
    assert refusals.not_judged(zip(clusters, found, strict=True)) == [
        "policies are not judged: kyverno: not found; put Kyverno's command line on PATH or run "
        "`make tools`"
    ]


def test_findings_name_clusters_policy_and_consequence(
    kyverno: WrittenKyverno, tmp_path: Path
) -> None:
    release = built(validating("r"))
    released = dataclasses.replace(
        built(deployment(hostPID=True)), applied_by="HelmRelease common/web", release=release
    )
    clusters = {
        name: cluster(tmp_path, validating(), pod(hostPID=True), released)
        for name in ("east", "west")
    }
    found = dict(zip(clusters, judge(*clusters.values()), strict=True))
    assert [str(finding) for finding in refusals.findings(found)] == [
        "clusters/dev/apps: Pod common/pod: ValidatingPolicy a would refuse it in east, west: No "
        "hostPID; Flux then refuses the whole Kustomization flux-system/apps; correct the object, "
        "or except it by a PolicyException",
        "clusters/dev/apps: Deployment common/web: ValidatingPolicy a would refuse it in east, "
        "west: No hostPID; Helm then fails the whole HelmRelease common/web; correct the object, "
        "or except it by a PolicyException",
    ]


def new(root: Path, before: list[Any], after: list[Any]) -> list[str]:
    """Return what a change makes policies refuse."""
    transition = Transition(before=[cluster(root, *before)], after=cluster(root, *after))
    ((found, _),) = refusals.refusals([transition], lambda _: None)
    return [str(refusal) for refusal in found]


def test_a_policy_that_turns_to_deny_refuses_objects(
    kyverno: WrittenKyverno, tmp_path: Path
) -> None:
    bad = [pod(name, hostPID=True) for name in ("one", "two", "three")]
    audit, deny = validating(validationActions=["Audit"]), validating()
    refused = (
        "ValidatingPolicy a would refuse 3 objects: Pod common/one, Pod common/two, Pod "
        "common/three: No hostPID; Flux then refuses the whole Kustomization flux-system/apps"
    )
    assert new(tmp_path, [audit, *bad], [deny, *bad]) == [refused]
    assert new(tmp_path, [deny, *bad], [deny, *bad]) == []
    assert new(tmp_path, [deny, *bad], [audit, *bad]) == []


def test_a_new_object_is_refused(kyverno: WrittenKyverno, tmp_path: Path) -> None:
    old, added = pod("old", hostPID=True), pod("new", hostPID=True)
    assert new(tmp_path, [validating(), old], [validating(), old, added]) == [
        "ValidatingPolicy a would refuse 1 object: Pod common/new: No hostPID; Flux then refuses "
        "the whole Kustomization flux-system/apps"
    ]
