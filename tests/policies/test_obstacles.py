"""The policies that cannot be judged from files."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.policies.policy import Policy
from tests.policies.support import CREATE_PODS, cluster_policy, rule, validating

CLUSTER = "it looks something up that only a cluster can answer"
WHO = "it asks who makes the request"
OTHER = "it gives another answer each time"
REGISTRY = "it asks registries for images, and nothing here uses the network"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("resource.Get('v1', 'configmaps', 'a', 'b').data.size() > 0", CLUSTER),
        ("size(resource.List('v1', 'pods', 'a').items) < 5", CLUSTER),
        ("http.Get('https://example.com').ok", CLUSTER),
        ("globalContext.Get('allowed', '').size() > 0", CLUSTER),
        ("imageData.GetMetadata('a').config.user != 'root'", CLUSTER),
        ("request.userInfo.username != 'a'", WHO),
        ("request['userInfo'].username != 'a'", WHO),
        ("authorizer.group('').resource('pods').check('get').allowed()", WHO),
        ("time.now() > timestamp('2026-01-01T00:00:00Z')", OTHER),
        # These are none of Kyverno's functions.
        ("variables.resource.get('a') == 'http.get'", None),
        ("image(object.spec.image).registry() == 'ghcr.io'", None),
        ("object.spec.hosts.all(resource, resource.startsWith('a'))", None),
        ("request.operation == 'CREATE'", None),
    ],
)
def test_an_expression_may_ask_for_more_than_an_object(expression: str, reason: str | None) -> None:
    found = Policy(manifest=validating(expression=expression))
    assert found.obstacles == ((reason,) if reason else ())
    assert found.is_judged is (reason is None)


@pytest.mark.parametrize(
    ("operations", "resources", "reasons"),
    [
        (["UPDATE"], ["pods"], ("it has no rule for the operation CREATE",)),
        (["*"], ["pods"], ()),
        (["CREATE"], ["pods"], ()),
        # No file has such objects.
        (["UPDATE"], ["pods/ephemeralcontainers"], ()),
    ],
)
def test_a_policy_about_updates_needs_the_object_before(
    operations: list[str], resources: list[str], reasons: tuple[str, ...]
) -> None:
    found = {**CREATE_PODS, "operations": operations, "resources": resources}
    policy = Policy(manifest=validating(matchConstraints={"resourceRules": [found]}))
    assert policy.obstacles == reasons


CONFIG_MAP = {"name": "a", "configMap": {"name": "a", "namespace": "b"}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"context": [CONFIG_MAP]}, CLUSTER),
        ({"context": [{"name": "a", "apiCall": {"urlPath": "/api"}}]}, CLUSTER),
        ({"context": [{"name": "a", "variable": {"value": "b"}}]}, None),
        ({"validate": {"foreach": [{"list": "a", "context": [CONFIG_MAP]}]}}, CLUSTER),
        ({"validate": {"cel": {"paramKind": {"kind": "ConfigMap"}}}}, CLUSTER),
        ({"verifyImages": [{"imageReferences": ["*"]}]}, REGISTRY),
        ({"validate": {"manifests": {"attestors": []}}}, REGISTRY),
        ({"exclude": {"any": [{"clusterRoles": ["cluster-admin"]}]}}, WHO),
        ({"match": {"subjects": [{"kind": "User", "name": "a"}]}}, WHO),
        ({"validate": {"message": "{{request.userInfo.username}}", "pattern": {}}}, WHO),
        ({"validate": {"message": "{{ time_now() }}", "pattern": {}}}, OTHER),
        ({}, None),
    ],
)
def test_a_rule_may_ask_for_more_than_an_object(fields: dict[str, Any], reason: str | None) -> None:
    other = rule("other")
    found = Policy(manifest=cluster_policy(rule("a", **fields), other))
    assert found.obstacles == ((f"rule a: {reason}",) if reason else ())
    judged = [item["name"] for item in found.content["spec"]["rules"]]
    assert judged == (["other"] if reason else ["a", "other"])
