"""Hold quotas and limits against those of Kubernetes itself, on random objects."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, get_args

import pytest

from fleet.check import quotas
from fleet.check.pods import pods_of
from fleet.config.tenant_models import QuotaName
from fleet.inventory.built_object import BuiltObject
from fleet.kube.quantity import parse
from tests.check.peers import answers

pytestmark = pytest.mark.slow

PODS = 2000
AMOUNTS: dict[str, list[Any]] = {
    "cpu": ["100m", "0.5", 1, 2, "1500m", "0.0001", "1e-1", "2k", 0, "100u", "1.0005"],
    "memory": ["64Mi", "1Gi", "100M", 1000, "1e9", "0.5Gi", "128974848", "1Ki", 0, "123m"],
    "ephemeral-storage": ["1Gi", "10M", 5],
    "example.com/gpu": [1, 2],
    "hugepages-2Mi": ["2Mi", "4Mi"],
}
LIMITED = ("cpu", "memory", "ephemeral-storage")
COUNTED = [name for name in get_args(QuotaName) if name.startswith(("requests.", "limits."))]


def amounts(chance: random.Random, names: Sequence[str], most: int) -> dict[str, Any]:
    chosen = chance.sample(names, chance.randint(0, min(most, len(names))))
    return {name: chance.choice(AMOUNTS[name]) for name in chosen}


def resources(chance: random.Random, names: Sequence[str]) -> dict[str, Any]:
    """Return the resources of a container or a pod, often without one of the two keys."""
    found = {}
    for key in ("requests", "limits"):
        if chance.random() < 0.6:
            found[key] = amounts(chance, names, 3)
    return found


def container(chance: random.Random, name: str) -> dict[str, Any]:
    names = [*LIMITED, "cpu", "memory"] if chance.random() < 0.9 else sorted(AMOUNTS)
    found = {"name": name, "image": "a"}
    return found | ({"resources": resources(chance, names)} if chance.random() < 0.8 else {})


def random_pod(chance: random.Random) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "containers": [container(chance, f"c{index}") for index in range(chance.randint(1, 3))]
    }
    if chance.random() < 0.5:
        started = [container(chance, f"i{index}") for index in range(chance.randint(1, 3))]
        for item in started:
            item |= chance.choice([{}, {"restartPolicy": "Always"}])
        spec["initContainers"] = started
    if chance.random() < 0.15:
        spec["resources"] = resources(chance, ["cpu", "memory"])
    return thing("Pod", spec)


def random_service(chance: random.Random) -> dict[str, Any]:
    ports = [
        {"port": 80 + index} | chance.choice([{}, {"nodePort": 30000 + index}, {"nodePort": 0}])
        for index in range(chance.randint(0, 3))
    ]
    kind = chance.choice((None, "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"))
    more = chance.choice(({}, {"allocateLoadBalancerNodePorts": chance.choice((True, False))}))
    return thing("Service", {"ports": ports, **({"type": kind} if kind else {}), **more})


def random_claim(chance: random.Random) -> dict[str, Any]:
    storage = chance.choice(("1Gi", "500M", 5, "1e3", "0.5Ti", None))
    more: dict[str, Any] = chance.choice([{}, {"storageClassName": "fast"}])
    if storage is not None:
        more = more | {"resources": {"requests": {"storage": storage}}}
    return thing("PersistentVolumeClaim", {"accessModes": ["ReadWriteOnce"], **more})


def thing(kind: str, spec: Mapping[str, Any], api: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def limit_range(chance: random.Random) -> list[dict[str, Any]]:
    """Return the items of a tenant's LimitRange; `fleet:tenants` can set these three keys."""
    keys = ("default", "defaultRequest", "max")
    item = {key: amounts(chance, LIMITED, 3) for key in keys if chance.random() < 0.7}
    return [{"type": "Container", **item}]


def difference(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """Return how fleet and Kubernetes differ about one object."""
    built = BuiltObject(path="apps", manifest=question["object"])
    limits = question["limits"][0]["spec"]["limits"]
    quota = {"spec": {"hard": dict.fromkeys(question["counted"], "1")}}
    pods = pods_of(built)
    ours = [*quotas.container_findings(pods, limits, [quota])] if pods else []
    text = f"{question}: fleet {[finding.problem for finding in ours]}, Kubernetes {answer}"
    if bool(ours) != bool(answer["refused"]):
        return text
    if ours:
        return None
    used = quotas.usage(built, pods, limits)
    for name in get_args(QuotaName):
        theirs = parse(answer["usage"].get(name, "0"))
        if used.get(name, Fraction(0)) != theirs:
            return f"{name} is {used.get(name)} or {theirs}: {text}"
    return None


def differences(
    things: Sequence[Mapping[str, Any]], chance: random.Random | None = None
) -> list[str]:
    """Return how fleet and Kubernetes differ about objects, each in a random namespace or none."""
    questions = [
        {
            "object": item,
            "resource": BuiltObject(path="", manifest=item).resource,
            "limits": [thing("LimitRange", {"limits": limit_range(chance) if chance else []})],
            "counted": chance.sample(COUNTED, chance.randint(0, len(COUNTED))) if chance else [],
        }
        for item in things
    ]
    found = zip(questions, answers("quota-usage", questions), strict=True)
    return [text for question, answer in found if (text := difference(question, answer))]


def test_random_pods() -> None:
    chance = random.Random("pods")  # noqa: S311 - the same pods in each run
    pods = [random_pod(chance) for _ in range(PODS)]
    assert differences(pods, chance)[:5] == []


def with_amount(text: str, key: str, name: str) -> dict[str, Any]:
    resources = {key: {name: text}}
    return thing("Pod", {"containers": [{"name": "a", "image": "a", "resources": resources}]})


TEXTS = (
    "1", "10m", "1.5", ".5", "5.", "1e3", "1E3", "1E", "1e", "1e-3", "1E-1", "1e+2", "0", "00",
    "0.0", "-1", "+1", "+.5", "1Ki", "1KI", "1ki", "1K", "1k", "1Pi", "1P", "1n", "1u", "1mi",
    "0x1", "1_000", "1,5", "\u0661", "1Mi5", "9223372036854775807", "1e18", "0.0000000001",
    "12345.123456789", "", "1\n",
)  # fmt: skip


def test_texts_that_may_be_quantities() -> None:
    names = ("cpu", "memory", "example.com/gpu")
    things = [
        with_amount(text, key, name)
        for text in TEXTS
        for key in ("requests", "limits")
        for name in names
        if (text, name) not in (("9223372036854775807", names[2]), ("1e18", names[2]))
    ]
    assert differences(things) == []


def test_texts_that_only_kubernetes_takes() -> None:
    """Kubernetes reads these as amounts, which nobody means; fleet asks for another text."""
    things = [with_amount(text, "limits", "memory") for text in ("-", "-0", ".", "1e1000", " 1")]
    found = differences(things)
    assert [text for text in found if "is not a quantity; write it as" in text] == found
    assert len(found) == len(things)


def test_random_services_and_claims() -> None:
    chance = random.Random("services")  # noqa: S311 - the same objects in each run
    make = (random_service, random_claim)
    assert differences([chance.choice(make)(chance) for _ in range(400)], chance)[:5] == []


def test_kinds_that_are_only_counted() -> None:
    chance = random.Random("kinds")  # noqa: S311 - the same objects in each run
    kinds = [("v1", "ConfigMap"), ("v1", "Secret"), ("apps/v1", "Deployment"), ("batch/v1", "Job")]
    kinds.append(("networking.k8s.io/v1", "Ingress"))
    # No pods: those of a workload are objects of their own for Kubernetes.
    things = [thing(kind, {"replicas": 0, "suspend": True}, api) for api, kind in kinds]
    assert differences(things, chance) == []
