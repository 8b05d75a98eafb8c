"""Test each check of the Pod Security Standards, at both levels."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fleet.check import pod_security
from fleet.check.pods import Pods
from fleet.inventory.built_object import BuiltObject

MODEST: dict[str, Any] = {
    "metadata": {},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": name,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
            for name in ("a", "b")
        ],
    },
}
CONTAINER = "spec.containers.0."
CONTEXT = f"{CONTAINER}securityContext."
POD = "spec.securityContext."


def pod(*changes: tuple[str, Any]) -> dict[str, Any]:
    """Return a valid pod, changed by a value at each path; None removes the field."""
    changed = copy.deepcopy(MODEST)
    for path, value in changes:
        *parents, last = path.split(".")
        part: Any = changed
        for key in parents:
            part = part[int(key)] if key.isdigit() else part.setdefault(key, {})
        if value is None:
            part.pop(last)
        else:
            part[last] = value
    return changed


def problems(level: str, template: dict[str, Any]) -> list[str]:
    """Return the problems of a pod at a level."""
    built = BuiltObject(path="apps", manifest={"apiVersion": "v1", "kind": "Pod"})
    found = [*pod_security.findings(level, Pods(made_by=built, template=template, count=1))]
    prefix = f"refused: Pod Security {level}: "
    assert all(finding.problem.startswith(prefix) for finding in found)
    return [finding.problem.removeprefix(prefix) for finding in found]


def refused(level: str, *changes: tuple[str, Any]) -> list[str]:
    return problems(level, pod(*changes))


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_a_modest_pod(level: str) -> None:
    assert refused(level) == []


def test_baseline_lets_an_image_run_as_it_is() -> None:
    plain = {"spec": {"containers": [{"name": "a", "image": "a"}]}}
    assert problems("baseline", plain) == []
    assert problems("restricted", plain) == [
        "container a: set securityContext.runAsNonRoot: true, there or for the whole pod",
        "container a: set securityContext.allowPrivilegeEscalation: false",
        "container a: set securityContext.capabilities.drop: [ALL]",
        "container a: set securityContext.seccompProfile.type: RuntimeDefault, there or for the "
        "whole pod",
    ]


def test_another_level_refuses_nothing() -> None:
    assert refused("privileged", ("spec.hostNetwork", True)) == []


PROBE = {"httpGet": {"host": "db", "port": 80}}
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/a"
ANYWHERE = [
    ("spec.hostNetwork", True, "the pod has hostNetwork: true; remove it"),
    ("spec.hostPID", True, "the pod has hostPID: true; remove it"),
    ("spec.hostIPC", True, "the pod has hostIPC: true; remove it"),
    (
        "spec.volumes",
        [{"name": "v", "hostPath": {"path": "/"}}],
        "volume v is hostPath; use a persistentVolumeClaim",
    ),
    (
        f"{POD}sysctls",
        [{"name": "kernel.msgmax", "value": "1"}],
        "the pod has securityContext.sysctls.name: kernel.msgmax; remove it",
    ),
    (
        "metadata.annotations",
        {APP_ARMOR: "unconfined"},
        f"the pod has the annotation {APP_ARMOR}: unconfined; remove it or use runtime/default",
    ),
    *(
        (
            f"{where}{path}",
            value,
            f"{owner} has securityContext.{path}: {str(value).lower() if value is True else value};"
            f" remove it{instead}",
        )
        for where, owner in ((POD, "the pod"), (CONTEXT, "container a"))
        for path, value, instead in (
            ("windowsOptions.hostProcess", True, ""),
            ("appArmorProfile.type", "Unconfined", " or use RuntimeDefault or Localhost"),
            ("seccompProfile.type", "Unconfined", " or use RuntimeDefault or Localhost"),
            ("seLinuxOptions.type", "spc_t", ""),
            ("seLinuxOptions.user", "root", ""),
            ("seLinuxOptions.role", "sysadm", ""),
        )
    ),
    (
        f"{CONTEXT}privileged",
        True,
        "container a has securityContext.privileged: true; remove it",
    ),
    (
        f"{CONTEXT}capabilities.add",
        ["NET_BIND_SERVICE", "SYS_ADMIN"],
        "container a has securityContext.capabilities.add: SYS_ADMIN; remove it",
    ),
    (
        f"{CONTAINER}ports",
        [{"containerPort": 80, "hostPort": 80}],
        "container a has ports.hostPort: 80; remove it",
    ),
    (
        f"{CONTEXT}procMount",
        "Unmasked",
        "container a has securityContext.procMount: Unmasked; remove it or use Default",
    ),
    *(
        (
            f"{CONTAINER}{when}.{how}",
            {"host": "db"},
            f"container a has {when}.{how}.host: db; remove it",
        )
        for when in (
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle.postStart",
            "lifecycle.preStop",
        )
        for how in ("httpGet", "tcpSocket")
    ),
]


@pytest.mark.parametrize("level", ["baseline", "restricted"])
@pytest.mark.parametrize(("path", "value", "said"), ANYWHERE, ids=lambda value: str(value)[:50])
def test_refused_at_both_levels(level: str, path: str, value: object, said: str) -> None:
    assert refused(level, (path, value)) == [said]


RESTRICTED = [
    (
        "spec.volumes",
        [{"name": "v", "nfs": {"server": "a", "path": "/"}}],
        "volume v is nfs; use a persistentVolumeClaim",
    ),
    (
        f"{CONTEXT}allowPrivilegeEscalation",
        True,
        "container a: set securityContext.allowPrivilegeEscalation: false",
    ),
    (
        f"{CONTEXT}capabilities.drop",
        ["NET_RAW"],
        "container a: set securityContext.capabilities.drop: [ALL]",
    ),
    (
        f"{CONTEXT}capabilities.add",
        ["CHOWN"],
        "container a has securityContext.capabilities.add: CHOWN; remove it or use "
        "NET_BIND_SERVICE",
    ),
    (
        f"{POD}runAsNonRoot",
        False,
        "the pod has securityContext.runAsNonRoot: false; remove it",
    ),
    (
        f"{CONTEXT}runAsNonRoot",
        False,
        "container a has securityContext.runAsNonRoot: false; remove it",
    ),
    (
        f"{POD}runAsUser",
        0,
        "the pod has securityContext.runAsUser: 0; remove it or use another user",
    ),
    (
        f"{CONTEXT}runAsUser",
        0,
        "container a has securityContext.runAsUser: 0; remove it or use another user",
    ),
]


@pytest.mark.parametrize(("path", "value", "said"), RESTRICTED, ids=lambda value: str(value)[:50])
def test_refused_only_when_restricted(path: str, value: object, said: str) -> None:
    assert refused("restricted", (path, value)) == [said]
    assert refused("baseline", (path, value)) == []


@pytest.mark.parametrize(
    ("path", "value", "container"),
    [("runAsNonRoot", "true", True), ("seccompProfile", "RuntimeDefault", {"type": "Localhost"})],
)
def test_each_container_sets_what_the_pod_does_not(
    path: str, value: str, container: object
) -> None:
    name = "seccompProfile.type" if path == "seccompProfile" else path
    assert refused("restricted", (f"{POD}{path}", None), (f"{CONTEXT}{path}", container)) == [
        f"container b: set securityContext.{name}: {value}, there or for the whole pod"
    ]


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_other_containers_are_checked_too(kind: str) -> None:
    odd = [{"name": "c", "securityContext": {"privileged": True}}]
    assert refused("baseline", (f"spec.{kind}", odd)) == [
        "container c has securityContext.privileged: true; remove it"
    ]
    assert "container c: set securityContext.capabilities.drop: [ALL]" in refused(
        "restricted", (f"spec.{kind}", odd)
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.hostNetwork", False),
        (f"{POD}sysctls", [{"name": "net.ipv4.tcp_rmem", "value": "1"}]),
        ("metadata.annotations", {APP_ARMOR: "localhost/mine", "other": "unconfined"}),
        (f"{POD}seLinuxOptions", {"type": "container_engine_t", "level": "s0"}),
        (f"{CONTEXT}appArmorProfile", {"type": "Localhost"}),
        (f"{CONTEXT}capabilities.add", ["NET_BIND_SERVICE"]),
        (f"{CONTEXT}procMount", "Default"),
        (f"{CONTEXT}runAsUser", 1000),
        (f"{CONTAINER}ports", [{"containerPort": 80, "hostPort": 0}]),
        (f"{CONTAINER}livenessProbe", {"httpGet": {"port": 80, "host": ""}}),
        ("spec.volumes", [{"name": "v", key: {}} for key in ("emptyDir", "csi", "image")]),
        ("spec.volumes", [{"name": "v", "hostPath": None, "secret": {}}]),
    ],
    ids=str,
)
def test_allowed(path: str, value: object) -> None:
    assert refused("restricted", (path, value)) == []


def test_a_pod_with_users_of_its_own_may_be_root_among_them() -> None:
    root = (("spec.hostUsers", False), (f"{POD}runAsNonRoot", False), (f"{POD}runAsUser", 0))
    assert refused("restricted", *root) == []
    unmasked = (("spec.hostUsers", False), (f"{CONTEXT}procMount", "Unmasked"))
    assert refused("baseline", *unmasked) == []
    assert len(refused("restricted", *unmasked)) == 1


def test_windows_has_no_capabilities_to_drop() -> None:
    plain = {"os": {"name": "windows"}, "containers": [{"name": "a"}]}
    plain["securityContext"] = {"runAsNonRoot": True}
    assert problems("restricted", {"spec": plain}) == []


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"spec": []},
        {"spec": {"containers": "a", "volumes": {"a": "b"}, "securityContext": "none"}},
        {"spec": {"containers": ["a", {"ports": 1, "securityContext": {"capabilities": []}}]}},
        {"metadata": {"annotations": ["a"]}},
    ],
    ids=str,
)
def test_malformed_pods_raise_no_error(odd: dict[str, Any]) -> None:
    """Schema validation reports them."""
    problems("restricted", odd)
