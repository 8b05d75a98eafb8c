"""What the plugin decides about Kubernetes objects: plain data in, plain data out."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.sandbox_error import SandboxError

# Any JSON value, and a whole Kubernetes object.
Json: TypeAlias = Any
Object: TypeAlias = dict[str, Any]

SKIP_AWAIT = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"
PATCH_FORCE = "pulumi.com/patchForce"
FIELD_MANAGER = "pulumi.com/patchFieldManager"

_NOT_SERVED = ("helm.sh", "kustomize", "yaml")
_IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
_IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "ClusterRoleBinding": ("roleRef",),
    "DaemonSet": ("spec.selector",),
    "Deployment": ("spec.selector",),
    "Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"),
}
# The value at a dotted path; the official plugin takes any JSONPath.
_VALUE = re.compile(r"\{(\.\w+)+\}=[^=]+")
# What the API server adds to an object's metadata, so that it is never an input.
_SERVER_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def api_version_and_kind(token: str) -> tuple[str, str]:
    """Return apiVersion and kind of a type token such as `kubernetes:apps/v1:Deployment`.

    Raises SandboxError for a token that names no plain Kubernetes object.
    """
    package, _, rest = token.partition(":")
    group_version, _, kind = rest.partition(":")
    group, slash, version = group_version.partition("/")
    if package != "kubernetes" or not kind or not version or group in _NOT_SERVED:
        raise SandboxError(f"{token}: the sandbox's kubernetes plugin has no such type")
    if kind.endswith("List") and "." not in group:
        raise SandboxError(f"{token}: the sandbox's kubernetes plugin has no List types")
    return (version if group == "core" else f"{group}{slash}{version}"), kind


def resource_type(urn: str) -> str:
    """Return the type token of a URN, without those of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def is_patch(urn: str, kind: str) -> bool:
    """Say whether a resource is a Patch: of an object of this kind, which is among its inputs."""
    return resource_type(urn).endswith(f":{kind}Patch")


def object_id(obj: Object) -> str:
    """Return `namespace/name`, or `name` of an object without a namespace."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def parse_id(resource_id: str) -> tuple[str | None, str]:
    """Return the namespace, if any, and the name that an id consists of."""
    namespace, _, name = resource_id.rpartition("/")
    return namespace or None, name


def normalized(inputs: Object) -> Object:
    """Return the inputs as the API server would keep them: no nulls, stringData become data."""
    clean: Object = _without_nulls(inputs)
    if clean.get("kind") == "Secret" and "stringData" in clean:
        encoded = {
            key: base64.b64encode(str(value).encode()).decode()
            for key, value in clean.pop("stringData").items()
        }
        clean["data"] = {**clean.get("data", {}), **encoded}
    return clean


def refreshed(inputs: Json, recorded: Json, live: Json) -> Json:
    """Return the inputs, with the live value wherever it moved since `recorded` was read.

    What did not move stays as it was given, so that a quantity that the API server writes in
    another form (`1000m`, `1`) is no difference. What only the API server writes stays out.
    """
    if recorded == live:
        return inputs
    if isinstance(inputs, dict) and isinstance(recorded, dict) and isinstance(live, dict):
        return {
            key: refreshed(value, recorded.get(key), live[key])
            for key, value in inputs.items()
            if key in live
        }
    if (
        isinstance(inputs, list)
        and isinstance(recorded, list)
        and isinstance(live, list)
        and len(inputs) == len(recorded) == len(live)
    ):
        return [refreshed(*items) for items in zip(inputs, recorded, live, strict=True)]
    return live


def inputs_of(live: Object) -> Object:
    """Return the live object without what only the API server writes, as if it had been given."""
    inputs = {key: copy.deepcopy(value) for key, value in live.items() if key != "status"}
    for key in _SERVER_METADATA:
        inputs["metadata"].pop(key, None)
    return inputs


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference. `path` is dotted, `before` and `after` say where there is a value."""

    path: str
    before: bool
    after: bool
    replaces: bool


def changes(
    before: Object,
    wanted: Object,
    *,
    ignore: Sequence[str] = (),
    mutable: frozenset[str],
    patch: bool = False,
) -> list[Change]:
    """Return what differs between the inputs before (refreshed) and the wanted ones.

    `ignore` are Pulumi's `ignoreChanges`: dotted paths, each covering all below it, where `*`
    stands for any key. `mutable` are those of Secret and ConfigMap that are changed in place.
    A `patch` is replaced only when it is of another object.
    """
    kind = str(wanted.get("kind"))
    forcing: tuple[str, ...] = _IDENTITY
    if not patch:
        forcing += _IMMUTABLE.get(kind, ())
    if not patch and kind in {"ConfigMap", "Secret"} and kind not in mutable:
        forcing += ("binaryData", "data")
    patterns = [tuple(pattern.split(".")) for pattern in ignore]
    found = []
    for path, had, has in _differences(before, wanted, ()):
        if any(_covers(pattern, path) for pattern in patterns):
            continue
        dotted = ".".join(path)
        replaces = any(dotted == field or dotted.startswith(f"{field}.") for field in forcing)
        found.append(Change(path=dotted, before=had, after=has, replaces=replaces))
    return found


def awaited(inputs: Object) -> tuple[str, ...]:
    """Return what to wait for, conditions (`Type=Status`) and values (`{.a.b}=value`), or nothing.

    That of the `pulumi.com/waitFor` annotation wins over what the kind implies. Raises
    SandboxError for a `waitFor` that is neither.
    """
    annotations = inputs.get("metadata", {}).get("annotations", {})
    if annotations.get(SKIP_AWAIT) == "true":
        return ()
    wait_for = annotations.get(WAIT_FOR, "")
    if wait_for:
        expressions = json.loads(wait_for) if wait_for.startswith("[") else [wait_for]
        return tuple(_awaited(str(expression)) for expression in expressions)
    if (inputs["apiVersion"], inputs["kind"]) == ("apps/v1", "Deployment"):
        return ("Available=True",)
    if inputs["kind"] == "CustomResourceDefinition":
        return ("Established=True",)
    return ()


def unready(live: Object, wanted: Sequence[str]) -> str | None:
    """Return why the object is not ready yet, as one line, or None when it is."""
    if not wanted:
        return None
    status = live.get("status", {})
    generation = live["metadata"].get("generation", 0)
    if status.get("observedGeneration", generation) < generation:
        return "its controller has not seen the change yet"
    found = {condition["type"]: condition for condition in status.get("conditions") or ()}
    for expression in wanted:
        what, _, state = expression.partition("=")
        if what.startswith("{"):
            value = _at(live, what)
            if value != state:
                return f"waiting for {expression}: {'not there' if value is None else value}"
            continue
        condition = found.get(what, {})
        if str(condition.get("status", "")).lower() != state.lower():
            message = condition.get("message") or condition.get("reason") or "not reported yet"
            return f"waiting for {what}: {message}"
    if live["kind"] == "Deployment":
        return _rollout(live["spec"].get("replicas", 1), status)
    return None


def _rollout(replicas: int, status: Object) -> str | None:
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < replicas:
        return f"{updated} of {replicas} replicas are updated"
    if total > updated:
        return f"{total - updated} old replicas are still there"
    if status.get("availableReplicas", 0) < updated:
        return f"{status.get('availableReplicas', 0)} of {updated} replicas are available"
    return None


def _awaited(expression: str) -> str:
    prefix, _, rest = expression.partition("=")
    if prefix == "condition" and rest:
        return rest if "=" in rest else f"{rest}=True"
    if prefix == "jsonpath" and _VALUE.fullmatch(rest):
        return rest
    raise SandboxError(
        f"{WAIT_FOR}: {expression!r}: the sandbox's kubernetes plugin knows only condition=TYPE "
        "and jsonpath={.a.b}=VALUE"
    )


def _at(live: Object, path: str) -> str | None:
    value: Json = live
    for key in path.strip("{}").split(".")[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else str(value)


def _differences(
    before: Json, after: Json, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            here = (*path, key)
            if key not in before or key not in after:
                yield here, key in before, key in after
            else:
                yield from _differences(before[key], after[key], here)
    elif before != after:
        yield path, True, True


def _covers(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) <= len(path) and all(
        part in ("*", key) for part, key in zip(pattern, path, strict=False)
    )


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
