"""The Pod Security Standards, levels baseline and restricted, as Kubernetes 1.36 enforces them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleet.check.pods import Pods
from fleet.inventory.finding import Finding
from fleet.kube.fields import Fields, mapping_at, mappings_in, values_at

# The values that are allowed at a path, as `values_at` takes it. An absent value is allowed too.
Allowed = Mapping[str, Sequence[Any]]
# A pod or a container, and its name in texts.
NamedPart = tuple[str, Fields]

_OFF = (False,)
_EMPTY = ("",)
_ADD_CAPABILITIES = "securityContext.capabilities.add[]"
_PROFILES = ("RuntimeDefault", "Localhost")
_BASELINE_POD: Allowed = {
    "hostNetwork": _OFF,
    "hostPID": _OFF,
    "hostIPC": _OFF,
    "securityContext.sysctls[].name": (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    ),
}
# These paths hold for the pod and for each container.
_BASELINE_BOTH: Allowed = {
    "securityContext.appArmorProfile.type": _PROFILES,
    "securityContext.seccompProfile.type": _PROFILES,
    "securityContext.seLinuxOptions.role": _EMPTY,
    "securityContext.seLinuxOptions.type": (
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ),
    "securityContext.seLinuxOptions.user": _EMPTY,
    "securityContext.windowsOptions.hostProcess": _OFF,
}
_BASELINE_CONTAINER: Allowed = {
    "securityContext.privileged": _OFF,
    _ADD_CAPABILITIES: (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ),
    "ports[].hostPort": (0,),
    **{
        f"{hook}.{action}.host": _EMPTY
        for hook in ("livenessProbe", "readinessProbe", "startupProbe",
                     "lifecycle.postStart", "lifecycle.preStop")
        for action in ("httpGet", "tcpSocket")
    },
}  # fmt: skip
_PROC_MOUNT: Allowed = {"securityContext.procMount": ("Default",)}
_NON_ROOT: Allowed = {"securityContext.runAsNonRoot": (True,)}
_RESTRICTED_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
_APP_ARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def findings(level: str, pods: Pods) -> Iterator[Finding]:
    """Yield a finding for each field of the pods that a level refuses.

    A level other than baseline and restricted refuses nothing.
    """
    if level in ("baseline", "restricted"):
        for problem in _problems(level, pods):
            yield pods.finding(f"Pod Security {level}: {problem}")


def _problems(level: str, pods: Pods) -> Iterator[str]:
    spec = pods.spec
    pod = ("the pod", spec)
    containers = [
        (f"container {container.get('name')}", container)
        for key in ("initContainers", "containers", "ephemeralContainers")
        for container in mappings_in(spec.get(key))
    ]
    # The root user of such a pod is an ordinary user of the node.
    has_own_users = spec.get("hostUsers") is False
    yield from _annotation_problems(pods.template)
    yield from _volume_problems(spec, level)
    yield from _value_problems(pod, _BASELINE_POD)
    for part in (pod, *containers):
        yield from _value_problems(part, _BASELINE_BOTH)
    for container in containers:
        yield from _value_problems(container, _BASELINE_CONTAINER)
        if level == "restricted" or not has_own_users:
            yield from _value_problems(container, _PROC_MOUNT)
    if level == "restricted":
        if not has_own_users:
            yield from _root_problems(pod, containers)
        if mapping_at(spec, "os").get("name") != "windows":
            yield from _linux_problems(pod, containers)


def _value_problems(part: NamedPart, rules: Allowed) -> Iterator[str]:
    name, fields = part
    for path, allowed in rules.items():
        for value in values_at(fields, path):
            if value not in allowed:
                yield _value_problem(name, path, value, allowed)


def _value_problem(name: str, path: str, value: object, allowed: Sequence[Any]) -> str:
    texts = [text for text in allowed if isinstance(text, str) and text]
    alternative = f" or use {' or '.join(texts)}" if 0 < len(texts) <= 2 else ""
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{name} has {path.replace('[]', '')}: {shown}; remove it{alternative}"


def _annotation_problems(template: Fields) -> Iterator[str]:
    annotations = mapping_at(template, "metadata", "annotations")
    for key, value in sorted(annotations.items(), key=str):
        allowed = str(value) in ("", "runtime/default") or str(value).startswith("localhost/")
        if str(key).startswith(_APP_ARMOR_ANNOTATION) and not allowed:
            yield f"the pod has the annotation {key}: {value}; remove it or use runtime/default"


def _volume_problems(spec: Fields, level: str) -> Iterator[str]:
    for volume in mappings_in(spec.get("volumes")):
        for kind in sorted({key for key in volume if volume[key] is not None} - {"name"}):
            if kind == "hostPath" or (level == "restricted" and kind not in _RESTRICTED_VOLUMES):
                yield f"volume {volume.get('name')} is {kind}; use a persistentVolumeClaim"


def _root_problems(pod: NamedPart, containers: Iterable[NamedPart]) -> Iterator[str]:
    for name, fields in (pod, *containers):
        yield from _value_problems((name, fields), _NON_ROOT)
        if 0 in values_at(fields, "securityContext.runAsUser"):
            yield f"{name} has securityContext.runAsUser: 0; remove it or use another user"
    yield from _unset_problems(pod, containers, "securityContext.runAsNonRoot", "true")


def _linux_problems(pod: NamedPart, containers: Iterable[NamedPart]) -> Iterator[str]:
    for name, fields in containers:
        if list(values_at(fields, "securityContext.allowPrivilegeEscalation")) != [False]:
            yield f"{name}: set securityContext.allowPrivilegeEscalation: false"
        if "ALL" not in values_at(fields, "securityContext.capabilities.drop[]"):
            yield f"{name}: set securityContext.capabilities.drop: [ALL]"
        for value in values_at(fields, _ADD_CAPABILITIES):
            # The rule of baseline reports all other values already.
            if value != "NET_BIND_SERVICE" and value in _BASELINE_CONTAINER[_ADD_CAPABILITIES]:
                yield _value_problem(name, _ADD_CAPABILITIES, value, ("NET_BIND_SERVICE",))
    path = "securityContext.seccompProfile.type"
    yield from _unset_problems(pod, containers, path, "RuntimeDefault")


def _unset_problems(
    pod: NamedPart, containers: Iterable[NamedPart], path: str, value: str
) -> Iterator[str]:
    """Yield a problem for each container that does not set a path, unless the pod sets it."""
    if not list(values_at(pod[1], path)):
        for name, fields in containers:
            if not list(values_at(fields, path)):
                yield f"{name}: set {path}: {value}, there or for the whole pod"
