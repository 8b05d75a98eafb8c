"""The pure parts of the stand-in for the official kubernetes plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from sandbox.errors import SandboxError
from sandbox.kubernetes_plugin import install, objects, values
from sandbox.kubernetes_plugin.objects import Object

MUTABLE = frozenset({"ConfigMap", "Secret"})


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("kubernetes:core/v1:Namespace", ("v1", "Namespace")),
        ("kubernetes:apps/v1:Deployment", ("apps/v1", "Deployment")),
        (
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ),
        (
            "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository",
            ("source.toolkit.fluxcd.io/v1", "GitRepository"),
        ),
    ],
)
def test_a_type_token_names_api_version_and_kind(token: str, expected: tuple[str, str]) -> None:
    assert objects.api_version_and_kind(token) == expected


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:core/v1:NamespacePatch",
        "kubernetes:core/v1:PodList",
        "kubernetes:yaml/v2:ConfigGroup",
        "random:index:Pet",
    ],
)
def test_other_type_tokens_are_refused(token: str) -> None:
    with pytest.raises(SandboxError, match="kubernetes plugin has no"):
        objects.api_version_and_kind(token)


def test_the_type_of_a_child_is_its_own() -> None:
    urn = "urn:pulumi:dev::fleet::fleet:flux:Installation$kubernetes:core/v1:Namespace::a::b"
    assert objects.resource_type(urn) == "kubernetes:core/v1:Namespace"


def test_ids() -> None:
    assert objects.object_id({"metadata": {"name": "a", "namespace": "b"}}) == "b/a"
    assert objects.parse_id("b/a") == ("b", "a")
    assert objects.parse_id("a") == (None, "a")


def paths(before: Object, wanted: Object, **options: object) -> dict[str, bool]:
    found = objects.changes(before, wanted, mutable=MUTABLE, **options)  # type: ignore[arg-type]
    return {change.path: change.replaces for change in found}


def test_changes_are_the_leaves_that_differ() -> None:
    before = {"kind": "X", "spec": {"a": 1, "list": [1, 2], "gone": {}}}
    wanted = {"kind": "X", "spec": {"a": 2, "list": [2, 1], "new": None}}
    assert paths(before, before) == {}
    assert paths(before, wanted) == {
        "spec.a": False,
        "spec.gone": False,
        "spec.list": False,
        "spec.new": False,
    }


@pytest.mark.parametrize("ignore", [["*"], ["spec"], ["spec.a"], ["*.a"]])
def test_ignored_changes_are_none(ignore: list[str]) -> None:
    assert paths({"spec": {"a": 1}}, {"spec": {"a": 2}}, ignore=ignore) == {}


def test_ignoring_one_field_leaves_its_neighbours() -> None:
    before, wanted = {"spec": {"a": 1, "ab": 1}}, {"spec": {"a": 2, "ab": 2}}
    assert paths(before, wanted, ignore=["spec.a"]) == {"spec.ab": False}


def test_identity_and_immutable_fields_replace() -> None:
    role = {"kind": "RoleBinding", "metadata": {"name": "a"}, "roleRef": {"name": "x"}}
    assert paths(role, {**role, "roleRef": {"name": "y"}}) == {"roleRef.name": True}
    assert paths(role, {**role, "metadata": {"name": "b"}}) == {"metadata.name": True}


def test_secrets_are_replaced_unless_configured_mutable() -> None:
    before, wanted = ({"kind": "Secret", "data": {"a": value}} for value in ("MQ==", "Mg=="))
    assert paths(before, wanted) == {"data.a": False}
    (change,) = objects.changes(before, wanted, mutable=frozenset())
    assert change.replaces


def test_string_data_is_data_and_nulls_are_absent() -> None:
    given = {"kind": "Secret", "data": {"b": "eA=="}, "stringData": {"a": "1"}, "type": None}
    assert objects.normalized(given) == {"kind": "Secret", "data": {"a": "MQ==", "b": "eA=="}}


def test_refreshed_inputs_take_over_only_what_moved() -> None:
    inputs = {"spec": {"cpu": "1000m", "replicas": 1, "gone": "x"}}
    recorded = {"spec": {"cpu": "1", "replicas": 1, "gone": "x"}, "status": {}}
    live = {"spec": {"cpu": "1", "replicas": 3, "defaulted": True}, "status": {"a": 1}}
    assert objects.refreshed(inputs, recorded, live) == {"spec": {"cpu": "1000m", "replicas": 3}}


def test_inputs_of_an_imported_object() -> None:
    live = {"kind": "X", "metadata": {"name": "a", "uid": "1", "generation": 2}, "status": {}}
    assert objects.inputs_of(live) == {"kind": "X", "metadata": {"name": "a"}}


def deployment(status: Object, **annotations: str) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "generation": 2, "annotations": annotations},
        "spec": {"replicas": 2},
        "status": status,
    }


AVAILABLE = {"conditions": [{"type": "Available", "status": "True"}], "observedGeneration": 2}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "waiting for Available: not reported yet"),
        ({"observedGeneration": 1}, "its controller has not seen the change yet"),
        (AVAILABLE, "0 of 2 replicas are updated"),
        ({**AVAILABLE, "replicas": 3, "updatedReplicas": 2}, "1 old replicas are still there"),
        (
            {**AVAILABLE, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
            "1 of 2 replicas are available",
        ),
        ({**AVAILABLE, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, None),
    ],
)
def test_a_deployment_is_ready_when_rolled_out(status: Object, reason: str | None) -> None:
    live = deployment(status)
    assert objects.unready(live, objects.awaited(live)) == reason


def test_what_is_awaited() -> None:
    assert objects.awaited(deployment({}, **{objects.SKIP_AWAIT: "true"})) == ()
    assert objects.awaited({"apiVersion": "v1", "kind": "ConfigMap"}) == ()
    assert objects.awaited(deployment({}, **{objects.WAIT_FOR: "condition=Ready"})) == (
        "Ready=True",
    )
    many = '["condition=Ready", "condition=Stalled=False"]'
    assert objects.awaited(deployment({}, **{objects.WAIT_FOR: many})) == (
        "Ready=True",
        "Stalled=False",
    )
    with pytest.raises(SandboxError, match="knows only condition=TYPE"):
        objects.awaited(deployment({}, **{objects.WAIT_FOR: "jsonpath={.x}"}))


def test_a_custom_resource_without_a_condition_is_not_awaited() -> None:
    # Flux's definitions default status.observedGeneration to -1.
    live = {"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}
    assert objects.unready(live, ()) is None


def test_secrets_stay_secret_where_they_were_given() -> None:
    given = {
        "data": PropertyValue({"a": PropertyValue("x", is_secret=True), "b": PropertyValue("y")}),
        "list": PropertyValue([PropertyValue("x", is_secret=True)]),
    }
    made = values.to_properties({"data": {"a": "x", "b": "y", "c": 1}, "list": ["x"]}, given)
    data = made["data"].value
    assert isinstance(data, Mapping)
    assert {key: value.is_secret for key, value in data.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }
    assert made["list"].is_secret
    assert values.to_properties({"data": {}}, {}, whole=frozenset({"data"}))["data"].is_secret


def test_values_come_back_as_kubernetes_wants_them() -> None:
    data = {"a": [1, 2.5, True, None, "x"], "b": {}}
    back = values.plain(values.to_properties(data, {}))
    assert back == data
    assert isinstance(back["a"][0], int)
    assert values.has_unknown({"a": PropertyValue([PropertyValue(UNKNOWN)])})


def test_the_installed_program_starts_and_says_its_port(tmp_path: Path) -> None:
    install(tmp_path / "a folder", Path(sys.executable))
    program = tmp_path / "a folder" / "pulumi-resource-kubernetes"
    assert os.access(program, os.X_OK)
    with subprocess.Popen(
        [program, "127.0.0.1:1"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip().isdigit()
        finally:
            process.terminate()
