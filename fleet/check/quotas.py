"""The limits and quotas of a namespace, as Kubernetes counts them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fleet.check.pods import Pods
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube.fields import Fields, mapping_at, mappings_in, values_at
from fleet.kube.manifest import Manifest
from fleet.kube.quantity import parse

# An amount for each name that a ResourceQuota uses, such as `requests.cpu`.
Amounts = Mapping[str, Fraction]

# Kubernetes refuses a container that does not set one of these while a quota counts it.
_REQUIRED_BY_QUOTA = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
# A pod can set these as a whole, besides huge pages, which no quota of fleet counts.
_OF_WHOLE_POD = ("cpu", "memory")
_HUGE_PAGES = "hugepages-"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The requests and limits of a container, with the defaults of its namespace."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]


def resources(container: Fields, limits: Sequence[Fields]) -> Resources:
    """Return a container's requests and limits, by resource.

    `limits` are the items of LimitRanges. A limit without a request is also the request.
    """
    set_limits = _texts(mapping_at(container, "resources", "limits"))
    requests = set_limits | _texts(mapping_at(container, "resources", "requests"))
    for item in limits:
        if item.get("type") == "Container":
            default = _texts(mapping_at(item, "max")) | _texts(mapping_at(item, "default"))
            set_limits = default | set_limits
            requests = (
                _texts(mapping_at(item, "min"))
                | default
                | _texts(mapping_at(item, "defaultRequest"))
                | requests
            )
    return Resources(requests=requests, limits=set_limits)


def container_findings(
    pods: Pods, limits: Sequence[Fields], quotas: Sequence[Manifest]
) -> Iterator[Finding]:
    """Yield a finding for each amount of a container that the limits or the quotas refuse."""
    maximum = {
        resource: text
        for item in limits
        if item.get("type") == "Container"
        for resource, text in _texts(mapping_at(item, "max")).items()
    }
    counted = {
        name for quota in quotas if not _scopes(quota) for name in mapping_at(quota, "spec", "hard")
    }
    if _sets_whole_pod(pods):
        counted = set()
    for container in (*pods.init_containers, *pods.containers):
        found = resources(container, limits)
        problems = [
            *_limit_problems(found, maximum),
            *_request_problems(found),
            *_huge_page_problems(found),
            *_unset_problems(found, counted),
        ]
        for problem in problems:
            yield pods.finding(f"container {container.get('name')}: {problem}")
    for problem in _whole_pod_problems(pods, limits):
        yield pods.finding(problem)


def _limit_problems(found: Resources, maximum: Mapping[str, str]) -> Iterator[str]:
    for name, text in sorted(found.limits.items()):
        limit = _amount(text)
        if limit is None:
            yield f"limits.{name} {text!r} is not a quantity; write it as 500m or 64Mi"
        elif name in maximum and limit > _rounded(parse(maximum[name])):
            yield f"limits.{name} {text} exceeds the {maximum[name]} of one container; lower it"
        elif _is_extended(name) and limit.denominator != 1:
            yield f"limits.{name} {text} is not a whole number; use one"


def _request_problems(found: Resources) -> Iterator[str]:
    for name, text in sorted(found.requests.items()):
        request, limit = _amount(text), _amount(found.limits.get(name, text))
        if request is None and text != found.limits.get(name):
            yield f"requests.{name} {text!r} is not a quantity; write it as 500m or 64Mi"
        elif (_is_extended(name) or name.startswith(_HUGE_PAGES)) and (
            name not in found.limits or request != limit
        ):
            yield f"requests.{name} {text} must equal its limit; set limits.{name} alone"
        elif request is not None and limit is not None and request > limit:
            yield (
                f"requests.{name} {text} exceeds its limit {found.limits[name]}; lower it, or "
                f"set limits.{name}"
            )


def _huge_page_problems(found: Resources) -> Iterator[str]:
    names = {*found.requests, *found.limits}
    if any(name.startswith(_HUGE_PAGES) for name in names) and not names & {*_OF_WHOLE_POD}:
        yield "sets huge pages without cpu and memory; set one of them"


def _is_extended(name: str) -> bool:
    """Tell whether a resource is one that Kubernetes does not know itself, such as a GPU."""
    return "/" in name and "kubernetes.io/" not in name


def _unset_problems(found: Resources, counted: Iterable[str]) -> Iterator[str]:
    names = {f"requests.{key}" for key in found.requests}
    names |= {f"limits.{key}" for key in found.limits}
    for name in _REQUIRED_BY_QUOTA:
        if name in counted and name not in names:
            yield f"does not set {name}, which the quota counts; set it"


def priority_findings(pods: Pods, quotas: Iterable[Manifest]) -> Iterator[Finding]:
    """Yield a finding for pods of a priority class that the quotas forbid."""
    priority = str(pods.spec.get("priorityClassName"))
    if priority in forbidden_priorities(quotas):
        yield pods.finding(
            f"priorityClassName {priority} is reserved for the cluster's own pods; remove it"
        )


def forbidden_priorities(quotas: Iterable[Manifest]) -> set[str]:
    """Return the priority classes of which the quotas allow no pod."""
    return {
        str(value)
        for quota in quotas
        if mapping_at(quota, "spec", "hard").get("pods") == "0"
        for scope in _scopes(quota)
        if scope.get("scopeName") == "PriorityClass" and scope.get("operator") == "In"
        for value in scope.get("values", ())
    }


def usage(built: BuiltObject, pods: Pods | None, limits: Sequence[Fields]) -> Amounts:
    """Return the amounts that one object and its pods count in quotas."""
    used: dict[str, Fraction] = defaultdict(Fraction)
    resource = built.resource
    used[f"count/{resource}"] += 1
    if not built.group and resource != "pods":
        used[resource] += 1
    if resource == "services":
        _add(used, _service_usage(built.spec), 1)
    if resource == "persistentvolumeclaims":
        _add(used, _storage(built.spec), 1)
    if pods is not None:
        if resource == "cronjobs.batch" and pods.count:
            used["count/jobs.batch"] += 1
        used["pods"] += pods.count
        _add(used, _pod_usage(pods, limits), pods.count)
        templates = [*values_at(built.spec, "volumeClaimTemplates[]")]
        templates += values_at(pods.spec, "volumes[].ephemeral.volumeClaimTemplate")
        for template in templates:
            used["persistentvolumeclaims"] += pods.count
            _add(used, _storage(mapping_at(template, "spec")), pods.count)
    return used


def _storage(claim: Fields) -> Amounts:
    storage = mapping_at(claim, "resources", "requests").get("storage", "0")
    return {"requests.storage": _amount(str(storage)) or Fraction(0)}


def _service_usage(spec: Fields) -> Amounts:
    ports = mappings_in(spec.get("ports"))
    is_balanced = spec.get("type") == "LoadBalancer"
    if is_balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    node_ports = len(ports) if is_balanced or spec.get("type") == "NodePort" else 0
    return {
        "services.loadbalancers": Fraction(int(is_balanced)),
        "services.nodeports": Fraction(node_ports),
    }


def _pod_usage(pods: Pods, limits: Sequence[Fields]) -> Amounts:
    """Return the amounts of one pod; those that it sets as a whole replace its containers'."""
    return {
        f"{kind}.{key}": amount
        for kind, whole in _whole_pod(pods).items()
        for key, amount in (_container_usage(pods, kind, limits) | whole).items()
    }


def _container_usage(pods: Pods, kind: str, limits: Sequence[Fields]) -> dict[str, Fraction]:
    """Return the amounts of all containers together, or more if a pod needs more to start."""
    running: dict[str, Fraction] = defaultdict(Fraction)
    starting: dict[str, Fraction] = defaultdict(Fraction)
    for container in pods.init_containers:
        with_container = running.copy()
        _add(with_container, _amounts(getattr(resources(container, limits), kind)), 1)
        if container.get("restartPolicy") == "Always":
            running = with_container  # a sidecar goes on running
        starting.update({k: max(starting[k], with_container[k]) for k in with_container})
    for container in pods.containers:
        _add(running, _amounts(getattr(resources(container, limits), kind)), 1)
    return {key: max(running[key], starting[key]) for key in {*running, *starting}}


def _sets_whole_pod(pods: Pods) -> bool:
    found = mapping_at(pods.spec, "resources")
    names = {*mapping_at(found, "requests"), *mapping_at(found, "limits")}
    return any(name in _OF_WHOLE_POD or str(name).startswith(_HUGE_PAGES) for name in names)


def _whole_pod(pods: Pods) -> dict[str, dict[str, Fraction]]:
    """Return the requests and the limits that a pod sets as a whole, with their defaults.

    A pod with limits and without a request requests as much as its containers, or its limit.
    """
    found = mapping_at(pods.spec, "resources")
    requests, limits = (
        {k: v for k, v in _amounts(_texts(mapping_at(found, kind))).items() if k in _OF_WHOLE_POD}
        for kind in ("requests", "limits")
    )
    if mapping_at(found, "limits"):
        # Kubernetes sets this default before it applies LimitRanges.
        used = _container_usage(pods, "requests", ())
        defaults = {key: used[key] for key in _OF_WHOLE_POD if key in used}
        requests = limits | defaults | requests
    return {"requests": requests, "limits": limits}


def _whole_pod_problems(pods: Pods, limits: Sequence[Fields]) -> Iterator[str]:
    """Yield a problem for each amount of a pod as a whole that does not fit its other amounts."""
    found = mapping_at(pods.spec, "resources")
    wrong = [
        f"the pod's {kind}.{key} {text!r} is not a quantity; write it as 500m or 64Mi"
        for kind in ("requests", "limits")
        for key, text in sorted(_texts(mapping_at(found, kind)).items())
        if _amount(text) is None
    ]
    if wrong:
        yield from wrong
        return
    whole = _whole_pod(pods)
    used = _container_usage(pods, "requests", limits)
    for key, request in sorted(whole["requests"].items()):
        if request > whole["limits"].get(key, request):
            yield f"the pod's requests.{key} exceeds its limits.{key}; lower it"
        if used.get(key, request) > request:
            yield f"the containers together request more {key} than the pod; lower theirs"
    for container in pods.containers:
        limited = _amounts(resources(container, limits).limits)
        for key, limit in sorted(whole["limits"].items()):
            if limited.get(key, limit) > limit:
                name = container.get("name")
                yield f"container {name}: limits.{key} exceeds that of the pod; lower it"


def exceeded(
    file: str,
    used: Mapping[str, Amounts],
    used_by_platform: Mapping[str, int],
    quotas: Iterable[Manifest],
) -> Iterator[Finding]:
    """Yield a finding for each quota that all objects together exceed.

    `used` has the amounts of each object by its display name, `used_by_platform` the number of
    objects in the namespace that are not the tenant's. `file` is the folder of the objects.
    """
    for quota in quotas:
        if _scopes(quota):
            continue  # `priority_findings` reports the pods of such a quota
        for name, hard in sorted(_texts(mapping_at(quota, "spec", "hard")).items()):
            shares = {key: amounts[name] for key, amounts in used.items() if amounts.get(name)}
            platform = Fraction(used_by_platform.get(name, 0))
            total = sum(shares.values(), platform)
            if shares and total > _rounded(parse(hard)):
                users = _largest_shares(name, shares)
                users += [f"the platform: {_text(name, platform)}"] if platform else []
                yield Finding(
                    file=file,
                    object=f"ResourceQuota {mapping_at(quota, 'metadata').get('name')}",
                    problem=f"{_text(name, total)} {name} in all ({', '.join(users)}) exceed the "
                    f"quota of {hard}; {_consequence(name)}; use less, or ask the platform for "
                    "more",
                )


def _largest_shares(name: str, shares: Amounts) -> list[str]:
    largest = sorted(shares, key=lambda key: (-shares[key], key))[:3]
    texts = [f"{key}: {_text(name, shares[key])}" for key in largest]
    return texts + ([f"and {len(shares) - 3} more"] if len(shares) > 3 else [])


def _consequence(name: str) -> str:
    if name == "pods" or (name.startswith(("requests.", "limits.")) and "storage" not in name):
        return "Kubernetes accepts the workloads and refuses the pods beyond it"
    return "Kubernetes refuses the objects beyond it"


def _scopes(quota: Manifest) -> list[Fields]:
    return mappings_in(mapping_at(quota, "spec", "scopeSelector").get("matchExpressions"))


def _texts(amounts: Fields) -> dict[str, str]:
    return {str(key): str(value) for key, value in amounts.items()}


def _amount(text: str) -> Fraction | None:
    try:
        return _rounded(parse(text))
    except ValueError:
        return None


def _rounded(amount: Fraction) -> Fraction:
    """Round up to thousandths, as Kubernetes does before it counts or compares an amount."""
    return Fraction(math.ceil(amount * 1000), 1000)


def _amounts(texts: Mapping[str, str]) -> Amounts:
    return {key: _amount(text) or Fraction(0) for key, text in texts.items()}


def _add(total: dict[str, Fraction], amounts: Amounts, times: int) -> None:
    for key, amount in amounts.items():
        total[key] = total.get(key, Fraction(0)) + amount * times


def _text(name: str, amount: Fraction) -> str:
    if "memory" in name or "storage" in name:
        return f"{math.ceil(amount / 2**20)}Mi"
    return str(amount) if amount.denominator == 1 else str(math.ceil(amount * 1000) / 1000)
