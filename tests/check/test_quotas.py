"""Test limits, defaults and quotas, as Kubernetes counts them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, get_args

import pytest

from fleet.check import quotas
from fleet.check.pods import Pods, pods_of
from fleet.config.tenant_models import QuotaName
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube.quantity import parse

RANGE: dict[str, Any] = {
    "type": "Container",
    "default": {"memory": "256Mi"},
    "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
    "max": {"memory": "4Gi"},
}


def container(name: str = "a", **resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "resources": resources}


def quota(hard: Mapping[str, str], name: str = "tenant") -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"hard": hard}}


def pod(*containers: dict[str, Any], **spec: object) -> Pods:
    template = {"spec": {"containers": [*containers], **spec}}
    built = BuiltObject(path="apps", manifest={"apiVersion": "v1", "kind": "Pod"})
    return Pods(made_by=built, template=template, count=1)


def problems(pod: Pods, **hard: str) -> list[str]:
    found = list(quotas.container_findings(pod, [RANGE], [quota(hard)]))
    assert all(finding.problem.startswith("refused: ") for finding in found)
    return [finding.problem.removeprefix("refused: ") for finding in found]


class TestContainers:
    def test_one_without_resources(self) -> None:
        found = quotas.resources({"name": "a"}, [RANGE])
        assert found.limits == {"memory": "256Mi"}
        assert found.requests == {"cpu": "50m", "memory": "64Mi"}
        assert problems(pod({"name": "a"})) == []

    def test_amounts_are_rounded_up_to_thousandths(self) -> None:
        small = pod(container(requests={"cpu": "100u"}, limits={"cpu": "0.0001"}))
        assert problems(small) == []
        assert quotas.usage(small.made_by, small, [])["requests.cpu"] == Fraction(1, 1000)

    def test_a_resource_that_is_given_as_a_whole(self) -> None:
        gpu = "example.com/gpu"
        text = "container a: requests.example.com/gpu 1 must equal its limit; set {} alone"
        text = text.format("limits.example.com/gpu")
        assert problems(pod(container(requests={gpu: 1}))) == [text]
        assert problems(pod(container(requests={gpu: 1}, limits={gpu: 2}))) == [text]
        assert problems(pod(container(limits={gpu: 1}))) == []
        assert problems(pod(container(limits={gpu: "500m"}))) == [
            "container a: limits.example.com/gpu 500m is not a whole number; use one"
        ]

    def test_huge_pages(self) -> None:
        pages = {"hugepages-2Mi": "2Mi"}
        found = list(quotas.container_findings(pod(container(limits=pages)), [], []))
        assert [finding.problem for finding in found] == [
            "refused: container a: sets huge pages without cpu and memory; set one of them"
        ]
        assert problems(pod(container(limits=pages))) == []

    def test_a_limit_is_a_request(self) -> None:
        """The limit wins over the default request of the namespace."""
        found = quotas.resources(container(limits={"cpu": 1, "memory": "32Mi"}), [RANGE])
        assert found.requests == {"cpu": "1", "memory": "32Mi"}

    def test_the_maximum_is_the_default_limit_and_request(self) -> None:
        item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1m", "memory": "1Mi"}}
        found = quotas.resources({}, [item, {"type": "Pod", "max": {"memory": "1Gi"}}])
        assert (found.limits, found.requests) == ({"cpu": "2"}, {"cpu": "2", "memory": "1Mi"})

    def test_above_the_maximum(self) -> None:
        assert problems(pod(container("a", limits={"memory": "64Gi"}))) == [
            "container a: limits.memory 64Gi exceeds the 4Gi of one container; lower it"
        ]
        init = pod(initContainers=[container("b", limits={"memory": "4097Mi"})])
        assert len(problems(init)) == 1

    @pytest.mark.parametrize("limits", [{}, {"memory": "256Mi"}])
    def test_a_request_above_its_limit(self, limits: dict[str, str]) -> None:
        """The limit is the container's own or the namespace's default."""
        asked = container("a", requests={"memory": "512Mi"}, limits=limits)
        assert problems(pod(asked)) == [
            "container a: requests.memory 512Mi exceeds its limit 256Mi; lower it, or set "
            "limits.memory"
        ]

    def test_no_quantity(self) -> None:
        assert problems(pod(container("a", limits={"memory": "lots"}))) == [
            "container a: limits.memory 'lots' is not a quantity; write it as 500m or 64Mi"
        ]
        assert problems(pod(container("a", requests={"cpu": "few"}))) == [
            "container a: requests.cpu 'few' is not a quantity; write it as 500m or 64Mi"
        ]

    def test_what_a_quota_counts_has_to_be_set(self) -> None:
        silent = pod({"name": "a"})
        assert problems(silent, **{"limits.cpu": "4", "limits.ephemeral-storage": "1"}) == [
            "container a: does not set limits.cpu, which the quota counts; set it"
        ]
        assert problems(silent, **{"requests.cpu": "4", "limits.memory": "1Gi"}) == []

    def test_priorities(self) -> None:
        critical = quota({"pods": "0"}, "no-critical-pods")
        scope = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
        critical["spec"]["scopeSelector"] = {"matchExpressions": [scope]}
        assert quotas.forbidden_priorities([quota({"pods": "0"}), critical]) == {
            "system-node-critical"
        }
        # The quota counts only pods of these classes, so it sets no limit for any other pod.
        assert list(quotas.exceeded("apps", {"a": {"pods": Fraction(1)}}, {}, [critical])) == []


def used(resource: str, kind: str, **spec: object) -> dict[str, Fraction]:
    group = resource.partition(".")[2]
    api_version = f"{group}/v1" if group else "v1"
    manifest = {"apiVersion": api_version, "kind": kind, "spec": spec}
    built = BuiltObject(path="apps", manifest=manifest)
    assert built.resource == resource
    amounts = quotas.usage(built, pods_of(built), [RANGE])
    return {name: amount for name, amount in amounts.items() if amount}


def template(*containers: dict[str, Any], **spec: object) -> dict[str, Any]:
    return {"spec": {"containers": [*containers], **spec}}


BIG = container(requests={"cpu": "2", "memory": "1Gi"}, limits={"memory": "2Gi"})
SMALL = container(requests={"cpu": "500m", "memory": "1Gi"}, limits={"memory": "2Gi"})


class TestUsage:
    def test_a_deployment(self) -> None:
        found = used("deployments.apps", "Deployment", replicas=3, template=template(BIG, {}))
        assert found == {
            "count/deployments.apps": 1,
            "pods": 3,
            "requests.cpu": Fraction(615, 100),
            "requests.memory": 3 * (1024 + 64) * 2**20,
            "limits.memory": 3 * (2048 + 256) * 2**20,
        }

    @pytest.mark.parametrize(
        ("init", "cpu"),
        [
            ([], "500m"),
            ([{**BIG}], "2"),  # ends before the other starts
            ([{**SMALL}], "500m"),
            ([{**BIG, "restartPolicy": "Always"}], "2500m"),  # runs beside the other
            ([{**SMALL, "restartPolicy": "Always"}, {**BIG}], "2500m"),
            ([{**BIG}, {**SMALL, "restartPolicy": "Always"}], "2"),
        ],
    )
    def test_a_pod_that_needs_more_to_start(self, init: list[Any], cpu: str) -> None:
        found = used("pods", "Pod", containers=[SMALL], initContainers=init)
        assert found["requests.cpu"] == parse(cpu)

    def test_resources_of_a_pod_as_a_whole(self) -> None:
        whole = {"requests": {"cpu": "3"}}
        assert used("pods", "Pod", containers=[SMALL], resources=whole)["requests.cpu"] == 3

    @pytest.mark.parametrize(
        ("resource", "kind", "spec", "count"),
        [
            ("deployments.apps", "Deployment", {}, 1),
            ("deployments.apps", "Deployment", {"replicas": 0}, 0),
            ("statefulsets.apps", "StatefulSet", {"replicas": 4}, 4),
            ("jobs.batch", "Job", {"parallelism": 3}, 3),
            ("jobs.batch", "Job", {"parallelism": 3, "completions": 2}, 2),
            ("jobs.batch", "Job", {"suspend": True}, 0),
            ("cronjobs.batch", "CronJob", {"jobTemplate": {"spec": {"parallelism": 2}}}, 2),
            ("cronjobs.batch", "CronJob", {"suspend": True}, 0),
            ("deployments.apps", "Deployment", {"replicas": "many"}, 1),
            ("configmaps", "ConfigMap", {"replicas": 2}, 0),
            ("deployments.example.com", "Deployment", {"replicas": 2}, 0),
        ],
    )
    def test_how_many_pods(
        self, resource: str, kind: str, spec: dict[str, Any], count: int
    ) -> None:
        assert used(resource, kind, **spec).get("pods", 0) == count

    def test_a_cron_job_makes_a_job(self) -> None:
        assert used("cronjobs.batch", "CronJob")["count/jobs.batch"] == 1
        assert "count/jobs.batch" not in used("cronjobs.batch", "CronJob", suspend=True)

    @pytest.mark.parametrize(
        ("spec", "balancers", "nodes"),
        [
            ({}, 0, 0),
            ({"type": "NodePort"}, 0, 2),
            ({"type": "LoadBalancer"}, 1, 2),
            ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, 1, 1),
        ],
    )
    def test_services(self, spec: dict[str, Any], balancers: int, nodes: int) -> None:
        found = used("services", "Service", ports=[{"port": 80}, {"nodePort": 30000}], **spec)
        assert found["services"] == 1
        assert found.get("services.loadbalancers", 0) == balancers
        assert found.get("services.nodeports", 0) == nodes

    def test_storage(self) -> None:
        claim = {"resources": {"requests": {"storage": "2Gi"}}}
        found = used("persistentvolumeclaims", "PersistentVolumeClaim", **claim)
        assert found["persistentvolumeclaims"] == 1
        assert found["requests.storage"] == 2 * 2**30
        found = used(
            "statefulsets.apps",
            "StatefulSet",
            replicas=3,
            volumeClaimTemplates=[{"spec": claim}],
            template=template(volumes=[{"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]),
        )
        assert found["persistentvolumeclaims"] == 6
        assert found["requests.storage"] == 12 * 2**30


class TestExceeded:
    def test_all_objects_together(self) -> None:
        shares = {f"Deployment {n}": {"requests.cpu": Fraction(n, 2)} for n in (1, 2, 3, 4)}
        assert list(quotas.exceeded("apps", shares, {}, [quota({"requests.cpu": "5"})])) == []
        assert list(quotas.exceeded("apps", shares, {}, [quota({"requests.cpu": "4500m"})])) == [
            Finding(
                file="apps",
                object="ResourceQuota tenant",
                problem="5 requests.cpu in all (Deployment 4: 2, Deployment 3: 1.5, "
                "Deployment 2: 1, and 1 more) exceed the quota of 4500m; Kubernetes accepts the "
                "workloads and refuses the pods beyond it; use less, or ask the platform for more",
            )
        ]

    def test_objects_of_the_platform_count_too(self) -> None:
        shares = {"ConfigMap a": {"configmaps": Fraction(1)}}
        one = [quota({"configmaps": "1"})]
        assert list(quotas.exceeded("apps", shares, {}, one)) == []
        (finding,) = quotas.exceeded("apps", shares, {"configmaps": 1}, one)
        assert finding.problem == (
            "2 configmaps in all (ConfigMap a: 1, the platform: 1) exceed the quota of 1; "
            "Kubernetes refuses the objects beyond it; use less, or ask the platform for more"
        )
        # A tenant without a ConfigMap gets no finding.
        assert (
            list(quotas.exceeded("apps", {}, {"configmaps": 1}, [quota({"configmaps": "0"})])) == []
        )

    @pytest.mark.parametrize("name", get_args(QuotaName))
    def test_every_quota_of_the_config_is_counted(self, name: str) -> None:
        objects = [
            used(resource, kind, **spec)
            for resource, kind, spec in (
                ("configmaps", "ConfigMap", {}),
                ("secrets", "Secret", {}),
                ("services", "Service", {"type": "LoadBalancer", "ports": [{"port": 1}]}),
                (
                    "persistentvolumeclaims",
                    "PersistentVolumeClaim",
                    {"resources": {"requests": {"storage": "1Gi"}}},
                ),
                ("deployments.apps", "Deployment", {}),
                (
                    "statefulsets.apps",
                    "StatefulSet",
                    {"template": template(container(limits={"cpu": "1", "memory": "1Gi"}))},
                ),
                ("jobs.batch", "Job", {}),
                ("cronjobs.batch", "CronJob", {}),
                ("ingresses.networking.k8s.io", "Ingress", {}),
            )
        ]
        shares = {str(index): amounts for index, amounts in enumerate(objects)}
        (finding,) = quotas.exceeded("apps", shares, {}, [quota({name: "0"})])
        assert f" {name} in all " in finding.problem


class TestWholePods:
    def test_a_pod_that_sets_amounts_as_a_whole_needs_none_for_its_containers(self) -> None:
        hard = {"limits.cpu": "1"}
        assert problems(pod({"name": "a"}), **hard) != []
        assert problems(pod({"name": "a"}, resources={"limits": {"cpu": 1}}), **hard) == []
        assert problems(pod({"name": "a"}, resources={"limits": {}}), **hard) != []

    @pytest.mark.parametrize(
        ("set_by_pod", "requested"),
        [
            ({"limits": {"memory": "1Gi"}}, {"cpu": "50m", "memory": "1Gi"}),
            ({"limits": {"cpu": 2}}, {"cpu": 2, "memory": "64Mi"}),
            ({"requests": {"cpu": 1}, "limits": {"cpu": 2}}, {"cpu": 1, "memory": "64Mi"}),
        ],
    )
    def test_a_limit_of_the_pod_is_its_request(
        self, set_by_pod: dict[str, Any], requested: dict[str, Any]
    ) -> None:
        whole = pod({"name": "a"}, resources=set_by_pod)
        used = quotas.usage(whole.made_by, whole, [RANGE])
        for name, amount in requested.items():
            assert used[f"requests.{name}"] == parse(str(amount))

    def test_a_request_of_containers_is_that_of_the_pod(self) -> None:
        whole = pod(container(requests={"cpu": 1}), resources={"limits": {"cpu": 3}})
        assert quotas.usage(whole.made_by, whole, [])["requests.cpu"] == 1

    def test_amounts_that_do_not_fit(self) -> None:
        found = [
            problems(pod(container(), resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}})),
            problems(pod(container(requests={"cpu": 2}), resources={"requests": {"cpu": 1}})),
            problems(pod(container(limits={"cpu": 2}), resources={"limits": {"cpu": 1}})),
            problems(pod(container(), resources={"limits": {"cpu": "much"}})),
        ]
        assert found == [
            ["the pod's requests.cpu exceeds its limits.cpu; lower it"],
            ["the containers together request more cpu than the pod; lower theirs"],
            [
                "the pod's requests.cpu exceeds its limits.cpu; lower it",
                "container a: limits.cpu exceeds that of the pod; lower it",
            ],
            ["the pod's limits.cpu 'much' is not a quantity; write it as 500m or 64Mi"],
        ]
