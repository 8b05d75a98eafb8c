"""The fields that Kubernetes refuses in a pod because of its operating system."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.pods import Pods
from fleet.inventory.finding import Finding
from fleet.kube.fields import mapping_at, mappings_in, values_at

# These paths hold for the pod and for each container.
_NOT_ON_WINDOWS = tuple(
    f"securityContext.{name}"
    for name in ("appArmorProfile", "runAsGroup", "runAsUser", "seLinuxOptions", "seccompProfile")
)
_POD_NOT_ON_WINDOWS = (
    *_NOT_ON_WINDOWS,
    "hostUsers",
    "resources",
    "shareProcessNamespace",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.seLinuxChangePolicy",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.sysctls[]",
)
_CONTAINER_NOT_ON_WINDOWS = (
    *_NOT_ON_WINDOWS,
    "securityContext.allowPrivilegeEscalation",
    "securityContext.capabilities",
    "securityContext.privileged",
    "securityContext.procMount",
    "securityContext.readOnlyRootFilesystem",
)
_NOT_ON_LINUX = ("securityContext.windowsOptions",)


def findings(pods: Pods) -> Iterator[Finding]:
    """Yield a finding for each field that Kubernetes refuses together with the pods' spec.os."""
    system = mapping_at(pods.spec, "os").get("name")
    if system not in ("linux", "windows"):
        return
    is_windows = system == "windows"
    switches = [key for key in ("hostIPC", "hostPID") if pods.spec.get(key) is True]
    for path in switches if is_windows else ():
        yield _finding(pods, "the pod", path)
    for path in _POD_NOT_ON_WINDOWS if is_windows else _NOT_ON_LINUX:
        if any(True for _ in values_at(pods.spec, path)):
            yield _finding(pods, "the pod", path)
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in mappings_in(pods.spec.get(key)):
            for path in _CONTAINER_NOT_ON_WINDOWS if is_windows else _NOT_ON_LINUX:
                if any(True for _ in values_at(container, path)):
                    yield _finding(pods, f"container {container.get('name')}", path)


def _finding(pods: Pods, name: str, path: str) -> Finding:
    system = mapping_at(pods.spec, "os").get("name")
    # Kubernetes refuses the object that makes the pods as well.
    return pods.made_by.finding(
        f"refused: {name} has {path.removesuffix('[]')}, which os: {system} excludes; remove one"
    )
