"""The real command line of Kyverno, in runs with what it cannot read."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.policies import program
from fleet.policies.batches import Run
from fleet.policies.outcome import UNREAD
from fleet.policies.policy import Policy
from fleet.policies.program import Kyverno
from fleet.policies.subject import Namespaces, Subject
from tests.policies.support import cluster_policy, deployment, namespace, pod, rule, validating

pytestmark = pytest.mark.slow

BAD = pod("bad", hostPID=True)


@pytest.fixture(scope="module")
def kyverno() -> Kyverno:
    found = program.find()
    if found is None:
        pytest.skip("kyverno: not found")
    return found


def statuses(
    kyverno: Kyverno,
    policies: list[dict[str, Any] | Policy],
    *objects: dict[str, Any],
    spaces: Namespaces | None = None,
) -> list[list[list[str]]]:
    """Return the statuses for each policy and each object."""
    judging = [item if isinstance(item, Policy) else Policy(manifest=item) for item in policies]
    found = spaces or Namespaces(by_name={})
    subjects = [
        Subject(
            manifest=manifest,
            view=found.view(str(manifest["metadata"].get("namespace") or ""), judging[0]),
        )
        for manifest in objects
    ]
    outcomes = kyverno.judge(Run(policies=judging, subjects=subjects))
    return [
        [
            [outcome.status for outcome in outcomes[policy.key, number]]
            for number in range(len(objects))
        ]
        for policy in judging
    ]


def test_policies_with_one_name_are_told_apart(kyverno: Kyverno) -> None:
    strict = validating("same", "false")
    assert statuses(kyverno, [validating("same"), strict], pod(), BAD) == [
        [["pass"], ["fail"]],
        [["fail"], ["fail"]],
    ]


UNREADABLE = {
    "unknown field": validating(nothing=1),
    "wrong type": validating(matchConstraints={"resourceRules": "all"}),
    "no expression": validating(expression="object.spec.hostPID("),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_kyverno_cannot_read_does_not_pass(name: str, kyverno: Kyverno) -> None:
    """Its report would just leave it out. All others are judged."""
    assert statuses(kyverno, [UNREADABLE[name], validating()], pod(), BAD) == [
        [[UNREAD], [UNREAD]],
        [["pass"], ["fail"]],
    ]


def test_an_object_that_kyverno_cannot_read_hides_no_other(kyverno: Kyverno) -> None:
    unreadable = {**cluster_policy(), "spec": {"rules": "none"}}
    assert statuses(kyverno, [validating()], pod(), unreadable, BAD) == [
        [["pass"], [UNREAD], ["fail"]]
    ]


def test_older_policies(kyverno: Kyverno) -> None:
    found = cluster_policy(rule("a"), rule("b", validate={"pattern": {"metadata": {"name": "b*"}}}))
    assert statuses(kyverno, [found], pod("good"), BAD, deployment(hostPID=True)) == [
        [["pass", "fail"], ["fail", "pass"], ["fail", "fail"]]
    ]


def test_an_exception(kyverno: Kyverno) -> None:
    exception = {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "common"},
        "spec": {
            "policyRefs": [{"name": "a", "kind": "ValidatingPolicy"}],
            "matchConditions": [{"name": "n", "expression": "object.metadata.name == 'excepted'"}],
        },
    }
    policy = Policy(manifest=validating("a"), exceptions=[exception])
    excepted = pod("excepted", hostPID=True)
    assert statuses(kyverno, [policy], BAD, excepted) == [[["fail"], ["skip"]]]


def test_a_namespace_is_selected_by_its_labels(kyverno: Kyverno) -> None:
    selector = {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}
    constraints = {**validating()["spec"]["matchConstraints"], "namespaceSelector": selector}
    spaces = Namespaces(by_name={"common": namespace("common", team="a")})
    elsewhere = pod("bad", "elsewhere", hostPID=True)
    policies = [validating(matchConstraints=constraints)]
    assert statuses(kyverno, [*policies], BAD, elsewhere, spaces=spaces) == [[["fail"], []]]


def test_the_name_of_a_kind_is_not_guessed(kyverno: Kyverno) -> None:
    rules = [
        {
            "apiGroups": ["gateway.networking.k8s.io"],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["gateways"],
        }
    ]
    gateway = {**pod(), "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
    policy = validating(expression="false", matchConstraints={"resourceRules": rules})
    assert statuses(kyverno, [policy], gateway) == [[["fail"]]]


def test_no_registry_is_asked(kyverno: Kyverno) -> None:
    if not program.without_network():
        pytest.skip("a program cannot run without a network here")
    policy = {
        **validating(
            matchImageReferences=[{"glob": "registry.example.com/*"}],
            attestors=[{"name": "a", "cosign": {"key": {"data": "none"}}}],
            validations=[{"expression": "true", "message": "a"}],
        ),
        "kind": "ImageValidatingPolicy",
    }
    elsewhere = pod("elsewhere")
    elsewhere["spec"]["containers"][0]["image"] = "example.org/a:1"
    ((found, other),) = statuses(kyverno, [policy], pod(), elsewhere)
    assert found in (["error"], ["fail"])
    assert other == ["pass"]
