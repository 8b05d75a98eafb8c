"""The objects that the Kyverno of a cluster keeps from its policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet.policies import configuration
from fleet.policies.configuration import Configuration
from tests.policies.support import built, deployment, namespace, pod

LABELS = {"app.kubernetes.io/part-of": "kyverno"}
FILTERS = (
    "[Event,*,*] [*/*,kube-system,*] [Node/?*,*,*] [apps/v1/Deployment,ci,tmp-*] "
    "[Pod/exec,*,*] [v1/Secret,,]"
)
NOT_SYSTEM = {
    "matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["system"]}
    ]
}


def config_map(**data: str) -> dict[str, Any]:
    metadata = {"name": "kyverno", "namespace": "kyverno", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def of(**data: str) -> Configuration:
    return configuration.of_objects([built(config_map(resourceFilters=FILTERS, **data))])


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (pod(namespace="kube-system"), True),
        (pod(namespace="common"), False),
        (deployment("tmp-1", "ci"), True),
        (deployment("web", "ci"), False),
        ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}, False),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}}, True),
    ],
)
def test_filters(manifest: dict[str, Any], expected: bool) -> None:
    assert of().is_filtered(built(manifest), {}) is expected


@pytest.mark.parametrize("form", [lambda content: content, lambda content: [content]])
def test_selectors_of_the_webhooks(form: Any) -> None:  # noqa: ANN401 - a function
    content = {
        "namespaceSelector": NOT_SYSTEM,
        "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
    }
    found = of(webhooks=json.dumps(form(content)))

    def is_filtered(manifest: dict[str, Any], name: str) -> bool:
        return found.is_filtered(built(manifest), {"kubernetes.io/metadata.name": name})

    assert is_filtered(pod(namespace="system"), "system")
    assert not is_filtered(pod(), "common")
    skipped = pod()
    skipped["metadata"]["labels"] = {"skip": "yes"}
    assert is_filtered(skipped, "common")
    # A Namespace is selected by its own labels.
    own = namespace("system", **{"kubernetes.io/metadata.name": "system"})
    assert is_filtered(own, "")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {}}
    assert not is_filtered(role, "")


@pytest.mark.parametrize(
    ("arguments", "counted"),
    [
        (["--enablePolicyException=false"], []),
        (["--enablePolicyException=true"], ["a", "b"]),
        (["--enablePolicyException=true", "--exceptionNamespace=*"], ["a", "b"]),
        (["--enablePolicyException=true", "--exceptionNamespace=b"], ["b"]),
        (["--v=2"], ["a", "b"]),
    ],
)
def test_exceptions_may_be_switched_off(arguments: list[str], counted: list[str]) -> None:
    found = deployment("kyverno-admission-controller", "kyverno")
    found["metadata"]["labels"] = LABELS
    found["spec"]["template"]["spec"]["containers"][0]["args"] = arguments
    settings = configuration.of_objects([built(found)])
    exceptions = [built(pod(namespace=name)) for name in ("a", "b")]
    assert [item.namespace for item in exceptions if settings.counts(item)] == counted


def test_nothing_is_filtered_without_a_config_map() -> None:
    found = configuration.of_objects([built(pod())])
    assert found == Configuration(filters=[], namespace_selector={}, object_selector={})
    assert not found.is_filtered(built(pod(namespace="kube-system")), {})
