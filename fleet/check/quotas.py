"""What a namespace's LimitRange and ResourceQuotas refuse, as Kubernetes counts it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from fleet.check.pods import Content, Pods, at, items, values
from fleet.kube.quantity import parse

Amounts = Mapping[str, Fraction]

# What a quota on it makes every container say.
_DEMANDED = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_CRITICAL = "PriorityClass"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a container asks for once the LimitRange has filled in what it does not say."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]


def resources(container: Content, ranges: Sequence[Content]) -> Resources:
    """Return a container's requests and limits, as `500m`, by resource.

    `ranges` are the items of LimitRanges. What does not say a request asks for its limit.
    """
    limits = _texts(at(container, "resources", "limits"))
    requests = limits | _texts(at(container, "resources", "requests"))
    for item in ranges:
        if item.get("type") == "Container":
            default = _texts(at(item, "max")) | _texts(at(item, "default"))
            limits = default | limits
            requests = (
                _texts(at(item, "min")) | default | _texts(at(item, "defaultRequest")) | requests
            )
    return Resources(requests=requests, limits=limits)


def container_problems(
    pods: Pods, ranges: Sequence[Content], quotas: Sequence[Content]
) -> Iterator[str]:
    """Yield why a pod's containers are refused, each with the remedy."""
    most = {
        resource: text
        for item in ranges
        if item.get("type") == "Container"
        for resource, text in _texts(at(item, "max")).items()
    }
    demanded = {key for quota in quotas if not _scopes(quota) for key in at(quota, "spec", "hard")}
    for container in (*pods.init_containers, *pods.containers):
        found = resources(container, ranges)
        for problem in chain(_amount_problems(found, most), _missing(found, demanded)):
            yield f"container {container.get('name')}: {problem}"


def _amount_problems(found: Resources, most: Mapping[str, str]) -> Iterator[str]:
    for name, text in sorted(found.limits.items()):
        limit = _amount(text)
        if limit is None:
            yield f"limits.{name} {text!r} is no quantity; write it as 500m or 64Mi"
        elif name in most and limit > parse(most[name]):
            yield f"limits.{name} {text} is more than the {most[name]} of one container; lower it"
    for name, text in sorted(found.requests.items()):
        request, limit = _amount(text), _amount(found.limits.get(name, text))
        if request is None and text != found.limits.get(name):
            yield f"requests.{name} {text!r} is no quantity; write it as 500m or 64Mi"
        elif request is not None and limit is not None and request > limit:
            yield (
                f"requests.{name} {text} is more than its limit {found.limits[name]}; lower it, or "
                f"set limits.{name}"
            )


def _missing(found: Resources, demanded: Iterable[str]) -> Iterator[str]:
    said = {f"requests.{key}" for key in found.requests} | {f"limits.{key}" for key in found.limits}
    for name in _DEMANDED:
        if name in demanded and name not in said:
            yield f"says no {name}, which the quota counts; set it"


def forbidden_priorities(quotas: Iterable[Content]) -> set[str]:
    """Return the priority classes of which the quotas allow no pod."""
    return {
        str(value)
        for quota in quotas
        if at(quota, "spec", "hard").get("pods") == "0"
        for scope in _scopes(quota)
        if scope.get("scopeName") == _CRITICAL and scope.get("operator") == "In"
        for value in scope.get("values", ())
    }


def usage(
    content: Content, resource: str, pods: Pods | None, ranges: Sequence[Content]
) -> dict[str, Fraction]:
    """Return what one object counts for in quotas, by their names.

    `resource` is its plural and API group, as `deployments.apps`.
    """
    used: dict[str, Fraction] = defaultdict(Fraction)
    used[f"count/{resource}"] += 1
    if "." not in resource and resource != "pods":
        used[resource] += 1
    spec = at(content, "spec")
    claims = [(spec, 1)] if resource == "persistentvolumeclaims" else []
    if resource == "services":
        _add(used, _of_service(spec), 1)
    if resource == "cronjobs.batch" and pods is not None and pods.count:
        used["count/jobs.batch"] += 1
    if pods is not None:
        used["pods"] += pods.count
        _add(used, _of_pod(pods, ranges), pods.count)
        templates = [*values(spec, "volumeClaimTemplates[]")]
        templates += values(pods.spec, "volumes[].ephemeral.volumeClaimTemplate")
        claims += [(at(template, "spec"), pods.count) for template in templates]
        used["persistentvolumeclaims"] += len(templates) * pods.count
    for claim, count in claims:
        stored = _amount(str(at(claim, "resources", "requests").get("storage", "0")))
        used["requests.storage"] += (stored or 0) * count
    return used


def _of_service(spec: Content) -> dict[str, Fraction]:
    ports = items(spec.get("ports"))
    balanced = spec.get("type") == "LoadBalancer"
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    on_nodes = len(ports) if balanced or spec.get("type") == "NodePort" else 0
    return {
        "services.loadbalancers": Fraction(int(balanced)),
        "services.nodeports": Fraction(on_nodes),
    }


def _of_pod(pods: Pods, ranges: Sequence[Content]) -> dict[str, Fraction]:
    """What one pod asks for: all its containers, or more while it starts."""
    total: dict[str, Fraction] = {}
    for kind in ("requests", "limits"):
        running: dict[str, Fraction] = defaultdict(Fraction)
        starting: dict[str, Fraction] = defaultdict(Fraction)
        for container in pods.init_containers:
            asked = _amounts(getattr(resources(container, ranges), kind))
            alone = running.copy()
            _add(alone, asked, 1)
            if container.get("restartPolicy") == "Always":
                running = alone
            starting.update({key: max(starting[key], alone[key]) for key in alone})
        for container in pods.containers:
            _add(running, _amounts(getattr(resources(container, ranges), kind)), 1)
        for key in {*running, *starting}:
            total[f"{kind}.{key}"] = max(running[key], starting[key])
        for key, amount in _amounts(_texts(at(pods.spec, "resources", kind))).items():
            total[f"{kind}.{key}"] = amount
    return total


def exceeded(
    used: Mapping[str, Amounts], already: Mapping[str, int], quotas: Iterable[Content]
) -> Iterator[tuple[str, str]]:
    """Yield (name of the quota, problem) of each quota that all objects together exceed.

    `used` is by object; `already` what the namespace holds before a team adds anything.
    """
    for quota in quotas:
        if _scopes(quota):
            continue  # of some pods only; told by `forbidden_priorities`
        for name, hard in sorted(_texts(at(quota, "spec", "hard")).items()):
            shares = {key: amounts[name] for key, amounts in used.items() if amounts.get(name)}
            total = sum(shares.values(), Fraction(already.get(name, 0)))
            if total > parse(hard) and shares:
                largest = sorted(shares, key=lambda key: (-shares[key], key))[:3]
                told = ", ".join(f"{key}: {_text(name, shares[key])}" for key in largest)
                if len(shares) > len(largest):
                    told += f", and {len(shares) - len(largest)} more"
                given = f", {already[name]} of them the platform's" if already.get(name) else ""
                yield (
                    str(at(quota, "metadata").get("name")),
                    f"{_text(name, total)} {name} in all ({told}{given}), and the quota is "
                    f"{hard}; {_consequence(name)}; need less, or ask the platform for more",
                )


def _consequence(name: str) -> str:
    if name == "pods" or (name.startswith(("requests.", "limits.")) and "storage" not in name):
        return "Kubernetes accepts the workloads and refuses the pods beyond it"
    return "Kubernetes refuses what is beyond it"


def _scopes(quota: Content) -> list[Content]:
    return items(at(quota, "spec", "scopeSelector").get("matchExpressions"))


def _texts(amounts: Content) -> dict[str, str]:
    return {str(key): str(value) for key, value in amounts.items()}


def _amount(text: str) -> Fraction | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _amounts(texts: Mapping[str, str]) -> dict[str, Fraction]:
    return {key: _amount(text) or Fraction(0) for key, text in texts.items()}


def _add(total: dict[str, Fraction], more: Amounts, times: int) -> None:
    for key, amount in more.items():
        total[key] = total.get(key, Fraction(0)) + amount * times


def _text(name: str, amount: Fraction) -> str:
    if "memory" in name or "storage" in name:
        return f"{math.ceil(amount / 2**20)}Mi"
    return str(amount) if amount.denominator == 1 else str(math.ceil(amount * 1000) / 1000)
