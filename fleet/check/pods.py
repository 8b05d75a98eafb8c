"""The pods that an object makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube.fields import Fields, mapping_at, mappings_in

# The path of the pod template in each kind that makes pods, by API group and kind.
_TEMPLATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "Job"): ("spec", "template"),
}


@dataclass(frozen=True, kw_only=True)
class Pods:
    """The equal pods that one object makes.

    `template` has a pod's metadata and spec. `count` is the number of pods at the same time; the
    number of nodes is unknown, so a DaemonSet counts as one.
    """

    made_by: BuiltObject
    template: Fields
    count: int

    @property
    def spec(self) -> Fields:
        """The pod's spec, empty if it has none."""
        return mapping_at(self.template, "spec")

    @property
    def init_containers(self) -> list[Fields]:
        """The containers that run before the others, and the sidecars that run beside them."""
        return mappings_in(self.spec.get("initContainers"))

    @property
    def containers(self) -> list[Fields]:
        """The pod's main containers."""
        return mappings_in(self.spec.get("containers"))

    def finding(self, problem: str) -> Finding:
        """Return a finding that says if Kubernetes refuses the object itself or only its pods."""
        is_pod = self.made_by.kind == "Pod"
        refusal = "refused" if is_pod else "accepted, but its pods are refused"
        return self.made_by.finding(f"{refusal}: {problem}")


def pods_of(built: BuiltObject) -> Pods | None:
    """Return the pods that an object makes, None if its kind makes none."""
    path = _TEMPLATES.get((built.group, built.kind))
    if path is None:
        return None
    return Pods(made_by=built, template=mapping_at(built.manifest, *path), count=_count(built))


def _count(built: BuiltObject) -> int:
    if built.kind in ("Pod", "DaemonSet"):
        return 1
    if built.kind not in ("Job", "CronJob"):
        return _number(built.spec.get("replicas"), default=1)
    # A CronJob counts as one run of its Job.
    is_cron_job = built.kind == "CronJob"
    job = mapping_at(built.spec, "jobTemplate", "spec") if is_cron_job else built.spec
    if built.spec.get("suspend") is True or job.get("suspend") is True:
        return 0
    parallelism = _number(job.get("parallelism"), default=1)
    return min(parallelism, _number(job.get("completions"), default=parallelism))


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default
