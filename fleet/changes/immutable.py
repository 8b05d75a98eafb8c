"""Fields that the API server lets nobody change, and fields with which Helm installs again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.kube import quantity
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest, object_id

# Paths of fields by API group and kind, as the API server's validation of Kubernetes 1.37 has them.
_FIELDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "ReplicaSet"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates",
        "spec.podManagementPolicy",
    ),
    ("batch", "Job"): (
        "spec.template", "spec.selector", "spec.completionMode", "spec.podFailurePolicy",
        "spec.backoffLimitPerIndex", "spec.managedBy", "spec.successPolicy",
    ),
    ("", "PersistentVolumeClaim"): (
        "spec.accessModes", "spec.selector", "spec.dataSource", "spec.dataSourceRef",
        "spec.volumeMode",
    ),
    ("", "Secret"): ("type",),
    ("storage.k8s.io", "StorageClass"): (
        "provisioner", "parameters", "reclaimPolicy", "volumeBindingMode",
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("scheduling.k8s.io", "PriorityClass"): ("value", "preemptionPolicy"),
    ("networking.k8s.io", "IngressClass"): ("spec.controller",),
    ("node.k8s.io", "RuntimeClass"): ("handler",),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        "spec.scope", "spec.group", "spec.names.kind", "spec.names.plural",
    ),
}  # fmt: skip
# A field that is absent has this value, so to write it changes nothing.
_DEFAULTS = {
    "spec.podManagementPolicy": "OrderedReady",
    "spec.completionMode": "NonIndexed",
    "spec.volumeMode": "Filesystem",
    "type": "Opaque",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
    "preemptionPolicy": "PreemptLowerPriority",
}
# The cluster sets these in a claim when they are absent, so only two written values differ.
_SET_BY_CLUSTER = ("storageClassName", "volumeName")
_IMMUTABLE_DATA = ("data", "binaryData", "stringData", "immutable")


def refused_fields(before: Manifest, after: Manifest) -> list[str]:
    """Return the fields that differ although the API server refuses every change of them."""
    found = object_id(before)
    paths = _FIELDS.get((found.group, found.kind), ())
    fields = [path for path in paths if _value(before, path) != _value(after, path)]
    if (found.group, found.kind) == ("batch", "Job"):
        fields = [*_of_job(before, after, fields)]
    if found.group == "":
        specs = mapping_at(before, "spec"), mapping_at(after, "spec")
        if found.kind == "Service":
            fields += _of_service(*specs)
        elif found.kind == "PersistentVolumeClaim":
            fields += _of_claim(*specs)
        elif found.kind in ("ConfigMap", "Secret") and before.get("immutable") is True:
            fields += [key for key in _IMMUTABLE_DATA if before.get(key) != after.get(key)]
    return fields


def _value(manifest: Manifest, path: str) -> object:
    *parents, last = path.split(".")
    return mapping_at(manifest, *parents).get(last, _DEFAULTS.get(path))


def _of_job(before: Manifest, after: Manifest, fields: list[str]) -> Iterator[str]:
    specs = mapping_at(before, "spec"), mapping_at(after, "spec")
    # The template of a suspended Job may get other resources and node selectors.
    yield from (path for path in fields if path != "spec.template" or not specs[0].get("suspend"))
    is_indexed = specs[0].get("completionMode") == "Indexed"
    if not is_indexed and specs[0].get("completions") != specs[1].get("completions"):
        yield "spec.completions"


def _of_service(before: Fields, after: Fields) -> Iterator[str]:
    if "ExternalName" not in (before.get("type"), after.get("type")):
        # Without an address in the new object the Service keeps the one that it has.
        address = after.get("clusterIP")
        if address and address != before.get("clusterIP"):
            yield "spec.clusterIP"
    classes = before.get("loadBalancerClass"), after.get("loadBalancerClass")
    balancers = (before.get("type"), after.get("type")) == ("LoadBalancer", "LoadBalancer")
    if balancers and classes[0] != classes[1]:
        yield "spec.loadBalancerClass"


def _of_claim(before: Fields, after: Fields) -> Iterator[str]:
    for key in _SET_BY_CLUSTER:
        if None not in (before.get(key), after.get(key)) and before[key] != after[key]:
            yield f"spec.{key}"
    sizes = [mapping_at(spec, "resources", "requests").get("storage") for spec in (before, after)]
    try:
        is_smaller = quantity.parse(str(sizes[1])) < quantity.parse(str(sizes[0]))
    except ValueError:
        # Validation of schemas reports a size that is none.
        return
    if is_smaller:
        yield "spec.resources.requests.storage"


def reinstalling_fields(before: Manifest, after: Manifest) -> list[str]:
    """Return the fields of a HelmRelease that differ and make Flux uninstall the release first."""
    if object_id(before).kind != "HelmRelease":
        return []
    old, new = _target(before), _target(after)
    return [path for path in old if None not in (old[path], new[path]) and old[path] != new[path]]


def _target(release: Manifest) -> Mapping[str, object]:
    spec, found = mapping_at(release, "spec"), object_id(release)
    target = spec.get("targetNamespace")
    name = f"{target}-{found.name}" if target else found.name
    chart = mapping_at(spec, "chart", "spec")
    # In a repository of Git the text is a path, and the chart's own name is in a file there.
    is_name = mapping_at(chart, "sourceRef").get("kind") == "HelmRepository"
    return {
        "spec.storageNamespace": spec.get("storageNamespace") or found.namespace,
        "spec.targetNamespace": target or found.namespace,
        "spec.releaseName": spec.get("releaseName") or name,
        "spec.chart.spec.chart": chart.get("chart") if is_name else None,
    }
