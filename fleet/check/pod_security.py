"""The Pod Security Standards, levels baseline and restricted, as Kubernetes 1.36 enforces them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleet.check.pods import Content, at, items, values

# What may stand at a path, besides nothing at all. `a[].b` looks into each item of the list a.
Allowed = Mapping[str, Sequence[Any]]

_OFF = (False,)
_NOTHING = ("",)
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
# In the pod's security context and in a container's.
_BASELINE_BOTH: Allowed = {
    "securityContext.appArmorProfile.type": _PROFILES,
    "securityContext.seccompProfile.type": _PROFILES,
    "securityContext.seLinuxOptions.role": _NOTHING,
    "securityContext.seLinuxOptions.type": (
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ),
    "securityContext.seLinuxOptions.user": _NOTHING,
    "securityContext.windowsOptions.hostProcess": _OFF,
}
_BASELINE_CONTAINER: Allowed = {
    "securityContext.privileged": _OFF,
    "securityContext.capabilities.add[]": (
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
        f"{when}.{how}.host": _NOTHING
        for when in ("livenessProbe", "readinessProbe", "startupProbe",
                     "lifecycle.postStart", "lifecycle.preStop")
        for how in ("httpGet", "tcpSocket")
    },
}  # fmt: skip
_PROC_MOUNT: Allowed = {"securityContext.procMount": ("Default",)}
_NON_ROOT: Allowed = {"securityContext.runAsNonRoot": (True,)}
_VOLUMES = (
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
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def violations(level: str, pod: Content) -> Iterator[str]:
    """Yield what a level refuses in a pod, given with metadata and spec: each with its remedy.

    Of a level that is neither baseline nor restricted, nothing is refused.
    """
    if level not in ("baseline", "restricted"):
        return
    spec = at(pod, "spec")
    containers = [
        (f"container {container.get('name')}", container)
        for key in ("initContainers", "containers", "ephemeralContainers")
        for container in items(spec.get(key))
    ]
    own_users = spec.get("hostUsers") is False
    yield from _annotations(pod)
    yield from _volumes(spec, level)
    yield from _others("the pod", spec, _BASELINE_POD)
    for owner, part in (("the pod", spec), *containers):
        yield from _others(owner, part, _BASELINE_BOTH)
    for owner, container in containers:
        yield from _others(owner, container, _BASELINE_CONTAINER)
        if level == "restricted" or not own_users:
            yield from _others(owner, container, _PROC_MOUNT)
    if level == "restricted":
        if not own_users:
            yield from _root(spec, containers)
        if at(spec, "os").get("name") != "windows":
            yield from _linux(spec, containers)


def _others(owner: str, part: Content, rules: Allowed) -> Iterator[str]:
    for path, allowed in rules.items():
        for value in values(part, path):
            if value not in allowed:
                yield _refused(owner, path, value, allowed)


def _refused(owner: str, path: str, value: object, allowed: Sequence[Any]) -> str:
    texts = [text for text in allowed if isinstance(text, str) and text]
    instead = f" or take {' or '.join(texts)}" if 0 < len(texts) <= 2 else ""
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{owner} has {path.replace('[]', '')}: {shown}; remove it{instead}"


def _annotations(pod: Content) -> Iterator[str]:
    for key, value in sorted(at(pod, "metadata", "annotations").items(), key=str):
        free = str(value) in ("", "runtime/default") or str(value).startswith("localhost/")
        if str(key).startswith(_APP_ARMOR) and not free:
            yield f"the pod has the annotation {key}: {value}; remove it or take runtime/default"


def _volumes(spec: Content, level: str) -> Iterator[str]:
    for volume in items(spec.get("volumes")):
        for kind in sorted({key for key in volume if volume[key] is not None} - {"name"}):
            if kind == "hostPath" or (level == "restricted" and kind not in _VOLUMES):
                yield f"volume {volume.get('name')} is {kind}; take a persistentVolumeClaim"


def _root(spec: Content, containers: Iterable[tuple[str, Content]]) -> Iterator[str]:
    path = "securityContext.runAsNonRoot"
    for owner, part in (("the pod", spec), *containers):
        yield from _others(owner, part, _NON_ROOT)
        if 0 in values(part, "securityContext.runAsUser"):
            yield f"{owner} has securityContext.runAsUser: 0; remove it or take another user"
    yield from _unless_said(spec, containers, path, "true")


def _linux(spec: Content, containers: Iterable[tuple[str, Content]]) -> Iterator[str]:
    for owner, container in containers:
        if list(values(container, "securityContext.allowPrivilegeEscalation")) != [False]:
            yield f"{owner}: set securityContext.allowPrivilegeEscalation: false"
        if "ALL" not in values(container, "securityContext.capabilities.drop[]"):
            yield f"{owner}: set securityContext.capabilities.drop: [ALL]"
        for name in values(container, "securityContext.capabilities.add[]"):
            # Others are baseline's already.
            path = "securityContext.capabilities.add[]"
            if name != "NET_BIND_SERVICE" and name in _BASELINE_CONTAINER[path]:
                yield _refused(owner, path, name, ("NET_BIND_SERVICE",))
    path = "securityContext.seccompProfile.type"
    yield from _unless_said(spec, containers, path, "RuntimeDefault")


def _unless_said(
    spec: Content, containers: Iterable[tuple[str, Content]], path: str, value: str
) -> Iterator[str]:
    """What each container has to say that the pod does not say for all; what is wrong is told."""
    if not list(values(spec, path)):
        for owner, container in containers:
            if not list(values(container, path)):
                yield f"{owner}: set {path}: {value}, there or for the whole pod"
