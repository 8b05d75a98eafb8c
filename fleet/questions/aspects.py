"""The aspects of objects that people ask for first: replicas, images, charts, policy actions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import Fields, mapping_at, mappings_in, values_at
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each

# These kinds have a pod template, and these of them have replicas, 1 by default.
_WITH_REPLICAS = ("Deployment", "StatefulSet", "ReplicaSet")
_POD_SPECS = (
    "spec.template.spec",
    "spec.jobTemplate.spec.template.spec",
)
_CONTAINERS = ("initContainers", "containers")
# Groups of policies, with their field for what happens to an object that violates one.
_POLICY_GROUPS = re.compile(r"(.*\.)?(kyverno\.io|gatekeeper\.sh)|admissionregistration\.k8s\.io")
_ACTIONS = ("validationActions[]", "validationFailureAction", "enforcementAction")
# Fields of objects that the aspects show, so that they do not count as other fields.
_SHOWN_FIELDS = re.compile(
    r"spec\.(replicas|validationActions|validationFailureAction|enforcementAction)\b.*"
    r"|.*\.(containers|initContainers)\[[^\]]*\]\.image"
    r"|spec\.chart\.spec\.version"
)


class Aspect(str, Enum):
    """The aspects, in the order in which they are shown."""

    ENTRY = "entry"
    NAMESPACE = "namespace"
    ACTION = "action"
    COPIES = "copies"
    REPLICAS = "replicas"
    IMAGE = "image"
    CHART = "chart"
    VERSION = "version"
    PATH = "path"


# The values of each aspect; an object may have several images.
Aspects = Mapping[Aspect, tuple[str, ...]]


def of_objects(objects: Iterable[BuiltObject]) -> dict[Aspect, tuple[str, ...]]:
    """Return the aspects of objects together."""
    found: dict[Aspect, dict[str, None]] = {}
    for built in objects:
        for aspect, value in _of_manifest(built.manifest):
            found.setdefault(aspect, {})[value] = None
    return {aspect: tuple(found[aspect]) for aspect in Aspect if aspect in found}


@once_for_each
def _of_manifest(manifest: Manifest) -> list[tuple[Aspect, str]]:
    built = BuiltObject(path="", manifest=manifest)
    return [(aspect, value) for aspect, read in _READERS.items() for value in read(built)]


def is_policy(built: BuiltObject) -> bool:
    """Tell whether an object is a policy of Kyverno, Gatekeeper or Kubernetes itself."""
    is_kind = built.kind.endswith("Policy") or built.group.startswith("constraints.")
    return is_kind and _POLICY_GROUPS.fullmatch(built.group) is not None


def is_shown(path: str) -> bool:
    """Tell whether an aspect shows the field at a path."""
    return _SHOWN_FIELDS.fullmatch(path) is not None


def images(built: BuiltObject) -> Iterator[str]:
    """Yield the images of the containers of an object."""
    for spec in _pod_specs(built):
        for key in _CONTAINERS:
            for container in mappings_in(spec.get(key)):
                if isinstance(image := container.get("image"), str):
                    yield image


def _pod_specs(built: BuiltObject) -> Iterator[Fields]:
    if built.kind == "Pod":
        yield built.spec
    for path in _POD_SPECS:
        yield mapping_at(built.manifest, *path.split("."))


def _replicas(built: BuiltObject) -> Iterator[str]:
    if built.kind in _WITH_REPLICAS:
        yield str(built.spec.get("replicas", 1))


def _actions(built: BuiltObject) -> Iterator[str]:
    if is_policy(built):
        for path in _ACTIONS:
            yield from (str(value) for value in values_at(built.spec, path))


def _charts(built: BuiltObject) -> Iterator[str]:
    if built.is_helm_release:
        chart = mapping_at(built.spec, "chart", "spec")
        yield " ".join(str(chart[key]) for key in ("chart", "version") if key in chart)


def _namespaces(built: BuiltObject) -> Iterator[str]:
    if built.namespace is not None:
        yield built.namespace


_READERS: Mapping[Aspect, Callable[[BuiltObject], Iterator[str]]] = {
    Aspect.NAMESPACE: _namespaces,
    Aspect.ACTION: _actions,
    Aspect.REPLICAS: _replicas,
    Aspect.IMAGE: images,
    Aspect.CHART: lambda built: (text for text in _charts(built) if text),
}
