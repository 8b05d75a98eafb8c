"""The pods that an object brings, however malformed the object: schemas are told elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Content = Mapping[str, Any]

# Where the pod is that a workload makes copies of.
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
    """One pod, with metadata and spec, and how many of it there are at once.

    A DaemonSet counts as one, as nodes are unknown; a CronJob as one run.
    """

    template: Content
    count: int

    @property
    def spec(self) -> Content:
        """The pod's spec, empty where it lacks one."""
        return at(self.template, "spec")

    @property
    def init_containers(self) -> list[Content]:
        """The containers that run first, or, as sidecars, beside the others."""
        return items(self.spec.get("initContainers"))

    @property
    def containers(self) -> list[Content]:
        """The containers that run."""
        return items(self.spec.get("containers"))


def of(content: Content, group: str) -> Pods | None:
    """Return the pods that an object of an API group brings, None when it is no workload."""
    kind = str(content.get("kind"))
    path = _TEMPLATES.get((group, kind))
    if path is None:
        return None
    return Pods(template=at(content, *path), count=_count(content, kind))


def _count(content: Content, kind: str) -> int:
    spec = at(content, "spec")
    if kind in ("Pod", "DaemonSet"):
        return 1
    if kind not in ("Job", "CronJob"):
        return number(spec.get("replicas"), 1)
    job = at(spec, "jobTemplate", "spec") if kind == "CronJob" else spec
    if spec.get("suspend") is True or job.get("suspend") is True:
        return 0
    at_once = number(job.get("parallelism"), 1)
    return min(at_once, number(job.get("completions"), at_once))


def at(content: object, *keys: str) -> Content:
    """Return the mapping at a path of keys, empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def items(value: object) -> list[Content]:
    """Return the mappings of a list, none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: object, default: int) -> int:
    """Return a count as it is, and the default for anything that is none."""
    return value if isinstance(value, int) and value >= 0 else default


def values(content: object, path: str) -> Iterator[Any]:
    """Yield what is at a path as `a.b[].c`, without what is not there or null."""
    key, _, rest = path.partition(".")
    found = content.get(key.removesuffix("[]")) if isinstance(content, dict) else None
    each = found if key.endswith("[]") and isinstance(found, list) else [found]
    for value in each:
        if value is not None:
            yield from values(value, rest) if rest else (value,)
