"""The stand-in for the official kubernetes plugin: its pure parts, and Patches of an object."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from sandbox.pulumi.kubernetes_plugin import install, objects, values
from sandbox.pulumi.kubernetes_plugin.objects import Object
from sandbox.pulumi.kubernetes_plugin.plugin import KubernetesPlugin
from sandbox.sandbox_error import SandboxError

MUTABLE = frozenset({"ConfigMap", "Secret"})


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("kubernetes:core/v1:Namespace", ("v1", "Namespace")),
        ("kubernetes:core/v1:NamespacePatch", ("v1", "NamespacePatch")),
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


@pytest.mark.parametrize(
    ("kind", "expected"), [("Namespace", True), ("NamespacePatch", False), ("Name", False)]
)
def test_a_patch_is_of_a_kind(kind: str, expected: bool) -> None:
    """A custom kind may well be called NamespacePatch."""
    urn = "urn:pulumi:dev::fleet::fleet:flux:Installation$kubernetes:core/v1:NamespacePatch::a"
    assert objects.is_patch(urn, kind) is expected


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


def test_a_patch_is_replaced_only_for_another_object() -> None:
    before = {"kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "MQ=="}}
    wanted = {"kind": "Secret", "metadata": {"name": "b"}, "data": {"a": "Mg=="}}
    found = objects.changes(before, wanted, mutable=frozenset(), patch=True)
    assert {c.path: c.replaces for c in found} == {"data.a": False, "metadata.name": True}


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
    values_too = '["jsonpath={.status.a}=x", "condition=Ready"]'
    assert objects.awaited(deployment({}, **{objects.WAIT_FOR: values_too})) == (
        "{.status.a}=x",
        "Ready=True",
    )


@pytest.mark.parametrize(
    "expression",
    [
        "jsonpath={.x}", "jsonpath={.x}=", "jsonpath=.x=1", "jsonpath={.x[0]}=1",
        "jsonpath={x}=1", "jsonpath={.x}=1=2", "condition=", "Ready",
    ],
)  # fmt: skip
def test_other_expressions_are_refused(expression: str) -> None:
    with pytest.raises(SandboxError, match="knows only condition=TYPE and jsonpath="):
        objects.awaited(deployment({}, **{objects.WAIT_FOR: expression}))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "waiting for {.status.at.last}=2: not there"),
        ({"at": "2"}, "waiting for {.status.at.last}=2: not there"),
        ({"at": {"last": "1"}}, "waiting for {.status.at.last}=2: 1"),
        ({"at": {"last": "2"}, "observedGeneration": 1}, "its controller has not seen the"),
        ({"at": {"last": "2"}}, "waiting for Ready: not reported yet"),
        ({"at": {"last": 2}, "conditions": [{"type": "Ready", "status": "True"}]}, None),
    ],
)
def test_a_value_is_awaited_as_a_condition_is(status: Object, reason: str | None) -> None:
    live = {"kind": "GitRepository", "metadata": {"generation": 2}, "status": status}
    said = objects.unready(live, ("{.status.at.last}=2", "Ready=True"))
    assert (said or "").startswith(reason or "")
    assert (said is None) is (reason is None)


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


PATCH = "urn:pulumi:dev::fleet::fleet:index:X$kubernetes:example.com/v1:ThingPatch::a"


@dataclass
class FakeCluster:
    """Holds one object, and merges what is applied to it as far as these tests need."""

    live: Object | None
    applied: list[tuple[Object, str, bool]] = field(default_factory=list)

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        assert (api_version, kind, namespace, name) == ("example.com/v1", "Thing", "b", "a")
        return self.live

    def apply(self, body: Object, *, manager: str, force: bool) -> Object:
        assert self.live is not None
        self.applied.append((body, manager, force))
        metadata = {**self.live["metadata"], **body["metadata"]}
        self.live = {**self.live, **body, "metadata": metadata}
        return self.live


def plugin_on(cluster: FakeCluster) -> KubernetesPlugin:
    async def say(urn: str, text: str) -> None:
        raise AssertionError(f"{urn}: {text}")

    plugin = KubernetesPlugin(say)
    plugin._cluster = cluster  # type: ignore[assignment]
    return plugin


def thing(**metadata: object) -> Object:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "a", "namespace": "b", **metadata},
    }


def patched(cluster: FakeCluster, **annotations: str) -> dict[str, PropertyValue]:
    """Create a Patch of these annotations and return its state."""
    inputs = values.to_properties(thing(annotations=annotations), {})
    request = provider.CreateRequest(PATCH, inputs, timeout=1, preview=False)
    answer = asyncio.run(plugin_on(cluster).create(request))
    assert answer.resource_id == "b/a"
    return answer.properties


def test_a_patch_needs_its_object() -> None:
    with pytest.raises(SandboxError, match="Thing b/a: is not there"):
        patched(FakeCluster(None), mark="1")


def test_a_patch_applies_only_its_fields() -> None:
    cluster = FakeCluster({**thing(labels={"x": "y"}), "spec": {"z": 1}})
    patched(cluster, mark="1")
    ((body, manager, force),) = cluster.applied
    assert body == thing(annotations={"mark": "1"})
    assert manager.startswith("pulumi-kubernetes-")
    assert not force
    assert cluster.live is not None
    assert cluster.live["spec"] == {"z": 1}


def read(cluster: FakeCluster, state: dict[str, PropertyValue], inputs: Object) -> Object:
    """Return the inputs of a Patch as a refresh finds them."""
    given = values.to_properties(inputs, {})
    answer = asyncio.run(plugin_on(cluster).read(provider.ReadRequest(PATCH, "b/a", state, given)))
    return values.plain(answer.inputs or {})


def test_a_refresh_sees_only_the_patched_fields() -> None:
    cluster = FakeCluster({**thing(), "spec": {"z": 1}})
    state = patched(cluster, mark="1")
    given = thing(annotations={"mark": "1"})
    assert cluster.live is not None
    cluster.live = {
        **cluster.live,
        "spec": {"z": 2},
        "metadata": {**cluster.live["metadata"], "annotations": {"mark": "1", "other": "1"}},
    }
    assert read(cluster, state, given) == given
    cluster.live["metadata"]["annotations"]["mark"] = "2"
    assert read(cluster, state, given) == thing(annotations={"mark": "2"})
    cluster.live = None
    assert read(cluster, state, given) == {}


def test_a_removed_patch_gives_up_its_fields_and_leaves_the_object() -> None:
    cluster = FakeCluster({**thing(), "spec": {"z": 1}})
    state = patched(cluster, mark="1")
    request = provider.DeleteRequest(PATCH, "b/a", state, timeout=1)
    asyncio.run(plugin_on(cluster).delete(request))
    (_, first, _), (body, manager, force) = cluster.applied
    assert (body, manager, force) == (thing(), first, False)
    cluster.live = None
    asyncio.run(plugin_on(cluster).delete(request))
    assert len(cluster.applied) == 2


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
