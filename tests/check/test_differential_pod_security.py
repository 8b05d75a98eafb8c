"""Hold the Pod Security checks against the admission of Kubernetes itself, on random pods."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from fleet.check import pod_os, pod_security
from fleet.check.pods import Pods
from fleet.inventory.built_object import BuiltObject
from tests.check.peers import answers

pytestmark = pytest.mark.slow

PODS = 2000
SECCOMP = [{"type": name} for name in ("RuntimeDefault", "Unconfined")]
SECCOMP.append({"type": "Localhost", "localhostProfile": "a.json"})
SELINUX: list[dict[str, str]] = [
    {},
    {"type": "container_t"},
    {"type": "container_engine_t", "level": "s0"},
    {"type": "spc_t"},
    {"user": "u"},
    {"role": "r"},
    {"type": "", "user": "", "role": ""},
]
BOTH: dict[str, list[Any]] = {
    "seccompProfile": SECCOMP,
    "appArmorProfile": SECCOMP,
    "seLinuxOptions": SELINUX,
    "windowsOptions": [{}, {"hostProcess": True}, {"hostProcess": False}, {"runAsUserName": "a"}],
    "runAsNonRoot": [True, False],
    "runAsUser": [0, 1, 1000],
    "runAsGroup": [0, 5],
}
POD_CONTEXT = BOTH | {
    "sysctls": [
        [],
        [{"name": "net.ipv4.tcp_rmem", "value": "1"}],
        [{"name": "kernel.shm_rmid_forced", "value": "1"}, {"name": "net.core.a", "value": "1"}],
        [{"name": "net.ipv4.tcp_keepalive_time", "value": "1"}],
    ],
    "fsGroup": [1],
    "fsGroupChangePolicy": ["Always"],
    "supplementalGroups": [[1]],
    "supplementalGroupsPolicy": ["Merge"],
    "seLinuxChangePolicy": ["Recursive"],
}
CONTAINER_CONTEXT = BOTH | {
    "privileged": [True, False],
    "allowPrivilegeEscalation": [True, False],
    "readOnlyRootFilesystem": [True],
    "procMount": ["Default", "Unmasked", ""],
    "capabilities": [
        {},
        {"drop": ["ALL"]},
        {"drop": ["all"]},
        {"drop": ["NET_RAW", "ALL"], "add": []},
        {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]},
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
        {"add": ["SETUID"]},
        {"add": ["CAP_CHOWN"]},
    ],
}
HANDLERS: list[dict[str, Any]] = [
    {"exec": {"command": ["a"]}},
    {"httpGet": {"port": 80}},
    {"httpGet": {"port": 80, "host": ""}},
    {"httpGet": {"port": 80, "host": "127.0.0.1"}},
    {"tcpSocket": {"port": 80, "host": "a"}},
    {"tcpSocket": {"port": 80}},
]
CONTAINER: dict[str, list[Any]] = {
    "ports": [
        [],
        [{"containerPort": 80}],
        [{"containerPort": 80, "hostPort": 0}],
        [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}],
    ],
    **dict.fromkeys(("livenessProbe", "readinessProbe", "startupProbe"), HANDLERS),
    "lifecycle": [{key: item} for key in ("postStart", "preStop") for item in HANDLERS],
    "volumeMounts": [[{"name": "v0", "mountPath": "/a"}]],
}
VOLUMES: list[dict[str, Any]] = [
    {},
    {"emptyDir": {}},
    {"emptyDir": None},
    {"hostPath": {"path": "/"}},
    {"secret": {"secretName": "a"}},
    {"configMap": {"name": "a"}},
    {"downwardAPI": {}},
    {"projected": {"sources": []}},
    {"persistentVolumeClaim": {"claimName": "a"}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
    {"csi": {"driver": "a"}},
    {"image": {"reference": "a"}},
    {"nfs": {"server": "a", "path": "/"}},
    {"iscsi": {"targetPortal": "a", "iqn": "a", "lun": 0}},
    {"gitRepo": {"repository": "a"}},
    {"rbd": {"monitors": ["a"], "image": "a"}},
    {"awsElasticBlockStore": {"volumeID": "a"}},
]
POD: dict[str, list[Any]] = {
    "hostNetwork": [True, False],
    "hostPID": [True, False],
    "hostIPC": [True, False],
    "hostUsers": [True, False],
    "shareProcessNamespace": [True, False],
    "os": [{"name": "linux"}, {"name": "windows"}, {"name": "windows"}],
    "resources": [{"limits": {"cpu": 2}}],
}
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
ANNOTATIONS: list[dict[str, str]] = [
    {f"{APP_ARMOR}a0": value}
    for value in ("", "runtime/default", "localhost/a", "unconfined", "x", "Localhost/a")
]


def some(chance: random.Random, fields: dict[str, list[Any]], most: int) -> dict[str, Any]:
    """Return a random value for some of the fields."""
    names = chance.sample(sorted(fields), chance.randint(0, most))
    return {name: chance.choice(fields[name]) for name in names}


def container(chance: random.Random, name: str) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if chance.random() < 0.9:
        context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    context |= some(chance, CONTAINER_CONTEXT, chance.choice((0, 0, 0, 1, 3)))
    security = {"securityContext": context} if context or chance.random() < 0.5 else {}
    return {"name": name, "image": "a"} | security | some(chance, CONTAINER, chance.choice((0, 1)))


def windows_pod(chance: random.Random, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a pod for Windows with few other fields, since Kubernetes refuses most there."""
    context = {"runAsNonRoot": True} | some(chance, POD_CONTEXT, chance.choice((0, 0, 1)))
    containers: list[dict[str, Any]] = [
        {"name": "a", "image": "a"} for _ in range(chance.choice((1, 1, 2)))
    ]
    containers[0] |= {"securityContext": some(chance, CONTAINER_CONTEXT, chance.choice((0, 1)))}
    key = chance.choice(("containers", "initContainers", "ephemeralContainers"))
    others = {} if key == "containers" else {"containers": [{"name": "b", "image": "a"}]}
    return {"metadata": {}, "spec": spec | others | {"securityContext": context, key: containers}}


def random_pod(chance: random.Random) -> dict[str, Any]:
    """Return a random pod, near the border between what the levels allow and what they refuse."""
    context: dict[str, Any] = {}
    if chance.random() < 0.8:
        context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    context |= some(chance, POD_CONTEXT, chance.choice((0, 0, 1, 2)))
    spec = some(chance, POD, chance.choice((0, 1, 1, 2)))
    if spec.get("os") == {"name": "windows"} and chance.random() < 0.8:
        return windows_pod(chance, spec)
    if context:
        spec["securityContext"] = context
    for key, most in (("containers", 2), ("initContainers", 1), ("ephemeralContainers", 1)):
        least = 1 if key == "containers" else 0
        count = chance.randint(least, most)
        spec[key] = [container(chance, f"{key[0]}{index}") for index in range(count)]
    kinds = chance.choices(VOLUMES, k=chance.choice((0, 0, 0, 1, 2)))
    spec["volumes"] = [{"name": f"v{index}"} | kind for index, kind in enumerate(kinds)]
    annotations = chance.choice(ANNOTATIONS) if chance.random() < 0.1 else {}
    return {"metadata": {"name": "a", "annotations": annotations}, "spec": spec}


def problems(level: str, pod: dict[str, Any]) -> list[str]:
    built = BuiltObject(path="apps", manifest={"apiVersion": "v1", "kind": "Pod"} | pod)
    pods = Pods(made_by=built, template=pod, count=1)
    found = [*pod_security.findings(level, pods), *pod_os.findings(pods)]
    return [finding.problem for finding in found]


def differences(level: str, pods: Sequence[dict[str, Any]]) -> list[str]:
    """Return the pods that fleet refuses and Kubernetes allows, and those of the other kind."""
    found = []
    judged = answers("pod-security", [{"level": level, "pod": pod} for pod in pods])
    for pod, answer in zip(pods, judged, strict=True):
        ours, theirs = problems(level, pod), answer["reasons"] + answer["system"]
        if bool(ours) != bool(theirs):
            found.append(f"{pod}: fleet {ours}, Kubernetes {theirs}")
    return found


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_random_pods(level: str) -> None:
    chance = random.Random(level)  # noqa: S311 - the same pods in each run
    pods = [random_pod(chance) for _ in range(PODS)]
    assert differences(level, pods)[:5] == []
    refused = sum(bool(problems(level, pod)) for pod in pods)
    assert level == "privileged" or PODS * 0.2 < refused < PODS * 0.9
