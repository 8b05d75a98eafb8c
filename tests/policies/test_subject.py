"""The content of an object, and the part of its namespace, on which a policy's results depend."""

from __future__ import annotations

import json

import pytest
import yaml

from fleet.policies import subject
from fleet.policies.policy import Policy
from fleet.policies.subject import Namespaces, Subject
from tests.policies.support import namespace, pod, validating

SELECTOR = {"matchExpressions": [{"key": "team", "operator": "Exists"}]}
BY_TEAM = Policy(
    manifest=validating(matchConstraints={"resourceRules": [], "namespaceSelector": SELECTOR})
)
BY_OBJECT = Policy(manifest=validating(expression="namespaceObject.metadata.name != 'a'"))
PLAIN = Policy(manifest=validating())


def key(policy: Policy, **labels: str) -> str:
    namespaces = Namespaces(by_name={"common": namespace("common", **labels)})
    return Subject(manifest=pod(), view=namespaces.view("common", policy)).key


def test_only_the_labels_that_a_policy_selects_by_matter() -> None:
    assert key(BY_TEAM, team="a") == key(BY_TEAM, team="a", other="b")
    assert key(BY_TEAM, team="a") != key(BY_TEAM, team="b")
    assert key(PLAIN, team="a") == key(PLAIN) == Subject(manifest=pod()).key
    assert key(BY_OBJECT, other="a") != key(BY_OBJECT, other="b")


def test_every_namespace_has_its_name_as_a_label() -> None:
    """Also one that the tree does not bring."""
    own = {"matchLabels": {"kubernetes.io/metadata.name": "common"}}
    policy = Policy(
        manifest=validating(matchConstraints={"resourceRules": [], "namespaceSelector": own})
    )
    view = Namespaces(by_name={}).view("common", policy)
    assert view is not None
    assert view.namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "common"}


@pytest.mark.parametrize("text", ["plain", "\x85\u2028\u2029\ufeff", "\x7f\x9f", "🙂 é", "a\nb: c"])
def test_an_object_is_the_same_in_yaml(text: str) -> None:
    manifest = {"metadata": {"name": "a", "annotations": {"a": text}}}
    written = subject.json_of(manifest)
    assert json.loads(written) == manifest
    assert yaml.safe_load(written) == manifest


@pytest.mark.parametrize(
    ("api_version", "kind", "plural"),
    [
        ("gateway.networking.k8s.io/v1", "Gateway", "gateways"),
        ("example.com/v1", "Mesh", "meshes"),
        ("example.com/v1", "Box", "boxes"),
        ("example.com/v1", "Widget", None),
        ("example.com/v1", "Proxy", None),
        ("networking.k8s.io/v1", "Ingress", None),
        ("v1", "Endpoints", None),
    ],
)
def test_a_kind_whose_name_cannot_be_guessed(
    api_version: str, kind: str, plural: str | None
) -> None:
    found = Subject(manifest={**pod(), "apiVersion": api_version, "kind": kind}).crd
    assert (found and found["spec"]["names"]["plural"]) == plural
