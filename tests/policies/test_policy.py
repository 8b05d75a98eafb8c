"""The parts of a policy that decide about its results, and whether it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.policies import policy as policies
from fleet.policies.policy import Policy
from tests.policies.support import (
    CREATE_PODS,
    built,
    cluster_policy,
    deployment,
    pod,
    rule,
    validating,
)


def exception(name: str, policy: str) -> dict[str, Any]:
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": name, "namespace": "common"},
        "spec": {"policyRefs": [{"name": policy, "kind": "ValidatingPolicy"}]},
    }


def older_exception(policy: str) -> dict[str, Any]:
    return {
        "apiVersion": "kyverno.io/v2",
        "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "common"},
        "spec": {
            "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
            "exceptions": [
                {"policyName": policy, "ruleNames": ["a"]},
                {"policyName": "another", "ruleNames": ["b"]},
            ],
        },
    }


def test_neither_the_name_nor_the_action_decides_about_results() -> None:
    """So the shared policy and its copy for prod are judged once."""
    shared = Policy(manifest=validating("a", validationActions=["Audit"]))
    enforced = Policy(manifest=validating("a-enforced", validationActions=["Deny"]))
    assert shared.key == enforced.key
    assert (shared.may_deny, enforced.may_deny) == (False, True)


@pytest.mark.parametrize(
    "other",
    [
        validating(expression="true"),
        validating(matchConstraints={"resourceRules": []}),
        {**validating(), "apiVersion": "policies.kyverno.io/v1beta1"},
        {
            **validating(),
            "kind": "NamespacedValidatingPolicy",
            "metadata": {"name": "a", "namespace": "b"},
        },
    ],
)
def test_everything_else_does(other: dict[str, Any]) -> None:
    assert Policy(manifest=validating()).key != Policy(manifest=other).key


def test_an_exception_decides_about_the_results_of_the_policy_that_it_names() -> None:
    found = exception("e", "a")
    assert policies.is_excepted(found, validating("a"))
    assert not policies.is_excepted(found, validating("b"))
    assert not policies.is_excepted(found, cluster_policy(rule()))
    plain = Policy(manifest=validating("a"))
    excepted = Policy(manifest=validating("a"), exceptions=[found])
    assert plain.key != excepted.key
    document, (narrowed,) = excepted.documents
    assert narrowed["spec"]["policyRefs"] == [
        {"name": document["metadata"]["name"], "kind": "ValidatingPolicy"}
    ]


def test_an_exception_is_kept_for_its_own_policy_only() -> None:
    found = older_exception("older")
    assert policies.is_excepted(found, cluster_policy(rule()))
    document, (narrowed,) = Policy(manifest=cluster_policy(rule()), exceptions=[found]).documents
    assert narrowed["spec"]["exceptions"] == [
        {"policyName": document["metadata"]["name"], "ruleNames": ["a"]}
    ]


@pytest.mark.parametrize(
    ("spec", "denies"),
    [
        ({"validationActions": ["Deny"]}, True),
        ({"validationActions": ["Audit"]}, False),
        ({"validationActions": ["Warn", "Deny"]}, True),
        # Kyverno's default.
        ({"validationActions": []}, True),
        ({"evaluation": {"admission": {"enabled": False}}}, False),
    ],
)
def test_a_policy_in_cel_denies(spec: dict[str, Any], denies: bool) -> None:
    found = Policy(manifest=validating(**spec))
    assert (found.may_deny, found.denies("", "common", {})) == (denies, denies)


ENFORCED_IN_PROD = [{"action": "Enforce", "namespaces": ["prod-*"]}]
ENFORCED_BY_LABEL = [{"action": "Enforce", "namespaceSelector": {"matchLabels": {"strict": "yes"}}}]


@pytest.mark.parametrize(
    ("found", "denying"),
    [
        (cluster_policy(rule()), []),
        (cluster_policy(rule(), validationFailureAction="enforce"), ["dev", "prod-1"]),
        (cluster_policy(rule(), validationFailureAction="Enforce", admission=False), []),
        (cluster_policy(rule(validate={"failureAction": "Enforce"})), ["dev", "prod-1"]),
        (
            cluster_policy(
                rule(validate={"failureAction": "Audit"}), validationFailureAction="Enforce"
            ),
            [],
        ),
        (cluster_policy(rule(), validationFailureActionOverrides=ENFORCED_IN_PROD), ["prod-1"]),
        (cluster_policy(rule(), validationFailureActionOverrides=ENFORCED_BY_LABEL), ["dev"]),
        (
            cluster_policy(
                rule(
                    validate={
                        "failureAction": "Audit",
                        "failureActionOverrides": ENFORCED_IN_PROD,
                    }
                )
            ),
            ["prod-1"],
        ),
    ],
)
def test_a_policy_with_rules_denies_by_namespace(found: dict[str, Any], denying: list[str]) -> None:
    policy = Policy(manifest=found)
    labels = {"dev": {"strict": "yes"}, "prod-1": {}}
    assert [name for name in labels if policy.denies("autogen-a", name, labels[name])] == denying
    assert policy.may_deny is bool(denying)


def test_a_policy_about_pods_may_select_what_makes_them() -> None:
    found = Policy(manifest=validating())
    assert found.may_select(built(pod()))
    assert found.may_select(built(deployment()))
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    assert not found.may_select(built(service))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{**CREATE_PODS, "apiGroups": ["*"], "resources": ["*"]}], True),
        ([{**CREATE_PODS, "apiGroups": ["example.com"], "resources": ["jobsets"]}], True),
        ([{**CREATE_PODS, "apiGroups": ["example.com"], "resources": ["jobsets/status"]}], False),
        ([{**CREATE_PODS, "apiGroups": ["apps"], "resources": ["*"]}], False),
        ([CREATE_PODS], False),
    ],
)
def test_a_policy_may_select_what_its_rules_name(
    rules: list[dict[str, Any]], expected: bool
) -> None:
    job_set = {"apiVersion": "example.com/v1", "kind": "JobSet", "metadata": {"name": "a"}}
    found = Policy(manifest=validating(matchConstraints={"resourceRules": rules}))
    assert found.may_select(built(job_set)) is expected


def test_a_policy_may_select_controllers_that_it_lists() -> None:
    job_set = {"apiVersion": "example.com/v1", "kind": "JobSet", "metadata": {"name": "a"}}
    autogen = {"podControllers": {"controllers": ["jobsets.v1.example.com"]}}
    assert Policy(manifest=validating(autogen=autogen)).may_select(built(job_set))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["Pod"], True),
        (["apps/v1/Deployment"], True),
        (["apps.v1.Deploy*"], True),
        (["*"], True),
        (["Service", "batch/v1/CronJob"], False),
    ],
)
def test_a_rule_may_select_the_kinds_that_it_names(kinds: list[str], expected: bool) -> None:
    match = {"any": [{"resources": {"kinds": kinds}}]}
    found = Policy(manifest=cluster_policy(rule(match=match)))
    assert found.may_select(built(deployment())) is expected


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (validating(), True),
        (validating(evaluation={"mode": "JSON"}), False),
        (cluster_policy(rule()), True),
        (cluster_policy({"name": "a", "generate": {"kind": "ConfigMap"}}), False),
        ({**validating(), "kind": "GeneratingPolicy"}, False),
        (pod(), False),
    ],
)
def test_what_validates_objects_is_a_policy(manifest: dict[str, Any], expected: bool) -> None:
    assert policies.is_policy(built(manifest)) is expected
