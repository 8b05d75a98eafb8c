"""Fields that cannot be changed."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.changes import immutable


def manifest(api_version: str, kind: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "a", "namespace": "b"},
        **rest,
    }


def spec(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of manifests
    return {"spec": fields}


LABELS = {"matchLabels": {"app": "a"}}
OTHER = {"matchLabels": {"app": "b"}}
CLAIM = {"resources": {"requests": {"storage": "2Gi"}}}


@pytest.mark.parametrize(
    ("api_version", "kind", "before", "after", "fields"),
    [
        ("apps/v1", "Deployment", spec(selector=LABELS), spec(selector=OTHER), ["spec.selector"]),
        ("apps/v1", "Deployment", spec(replicas=1), spec(replicas=2), []),
        ("other/v1", "Deployment", spec(selector=LABELS), spec(selector=OTHER), []),
        ("apps/v1", "DaemonSet", spec(selector=LABELS), spec(selector=OTHER), ["spec.selector"]),
        (
            "apps/v1",
            "StatefulSet",
            spec(serviceName="a"),
            spec(serviceName="b"),
            ["spec.serviceName"],
        ),
        (
            "apps/v1",
            "StatefulSet",
            spec(volumeClaimTemplates=[CLAIM]),
            spec(volumeClaimTemplates=[]),
            ["spec.volumeClaimTemplates"],
        ),
        ("apps/v1", "StatefulSet", spec(), spec(podManagementPolicy="OrderedReady"), []),
        ("batch/v1", "Job", spec(template={"a": 1}), spec(template={"a": 2}), ["spec.template"]),
        ("batch/v1", "Job", spec(template={}, suspend=True), spec(template={"a": 2}), []),
        ("batch/v1", "Job", spec(completions=1), spec(completions=2), ["spec.completions"]),
        ("batch/v1", "CronJob", spec(jobTemplate={}), spec(jobTemplate={"a": 1}), []),
        ("v1", "Service", spec(), spec(clusterIP="None"), ["spec.clusterIP"]),
        ("v1", "Service", spec(clusterIP="None"), spec(), []),
        (
            "v1",
            "Service",
            spec(clusterIP="10.0.0.1"),
            spec(clusterIP="10.0.0.2"),
            ["spec.clusterIP"],
        ),
        ("v1", "Service", spec(type="ExternalName"), spec(clusterIP="None"), []),
        ("v1", "Service", spec(type="ClusterIP"), spec(type="NodePort"), []),
        (
            "v1",
            "Service",
            spec(type="LoadBalancer", loadBalancerClass="a"),
            spec(type="LoadBalancer", loadBalancerClass="b"),
            ["spec.loadBalancerClass"],
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            spec(accessModes=["a"]),
            spec(accessModes=["b"]),
            ["spec.accessModes"],
        ),
        ("v1", "PersistentVolumeClaim", spec(), spec(storageClassName="a"), []),
        (
            "v1",
            "PersistentVolumeClaim",
            spec(storageClassName="a"),
            spec(storageClassName="b"),
            ["spec.storageClassName"],
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            spec(resources={"requests": {"storage": "2Gi"}}),
            spec(resources={"requests": {"storage": "1Gi"}}),
            ["spec.resources.requests.storage"],
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            spec(resources={"requests": {"storage": "1Gi"}}),
            spec(resources={"requests": {"storage": "2Gi"}}),
            [],
        ),
        ("v1", "Secret", {"type": "a"}, {"type": "b"}, ["type"]),
        ("v1", "Secret", {}, {"type": "Opaque"}, []),
        ("v1", "ConfigMap", {"data": {"a": 1}}, {"data": {"a": 2}}, []),
        (
            "v1",
            "ConfigMap",
            {"data": {"a": 1}, "immutable": True},
            {"data": {"a": 2}},
            ["data", "immutable"],
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            {"roleRef": 1},
            {"roleRef": 2},
            ["roleRef"],
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {"parameters": {}},
            {"parameters": {"a": "b"}},
            ["parameters"],
        ),
        ("storage.k8s.io/v1", "StorageClass", {}, {"allowVolumeExpansion": True}, []),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            spec(scope="Cluster"),
            spec(scope="Namespaced"),
            ["spec.scope"],
        ),
    ],
)
def test_refused_fields(
    api_version: str, kind: str, before: dict[str, Any], after: dict[str, Any], fields: list[str]
) -> None:
    objects = [manifest(api_version, kind, **part) for part in (before, after)]
    assert immutable.refused_fields(*objects) == fields


def release(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of manifests
    return manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", **spec(**fields))


def chart(name: str, source: str) -> dict[str, Any]:
    return {"spec": {"chart": name, "sourceRef": {"kind": source}}}


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        (release(), release(values={"a": 1}), []),
        (release(), release(releaseName="a"), []),
        (release(), release(releaseName="b"), ["spec.releaseName"]),
        (release(), release(targetNamespace="x"), ["spec.targetNamespace", "spec.releaseName"]),
        (release(), release(storageNamespace="x"), ["spec.storageNamespace"]),
        (
            release(chart=chart("a", "HelmRepository")),
            release(chart=chart("b", "HelmRepository")),
            ["spec.chart.spec.chart"],
        ),
        (
            release(chart=chart("a", "GitRepository")),
            release(chart=chart("b", "GitRepository")),
            [],
        ),
        (release(chart=chart("a", "HelmRepository")), release(chartRef={"name": "a"}), []),
        (manifest("v1", "ConfigMap"), manifest("v1", "ConfigMap", **spec(releaseName="b")), []),
    ],
)
def test_fields_that_install_a_release_again(
    before: dict[str, Any], after: dict[str, Any], fields: list[str]
) -> None:
    assert immutable.reinstalling_fields(before, after) == fields
