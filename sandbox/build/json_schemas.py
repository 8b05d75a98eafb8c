"""JSON Schemas of every kind that the tree can hold, for kubeconform, strict and offline.

Made from Kubernetes' OpenAPI and from the CRDs of Flux, Kyverno and the Gateway API. One file a
kind, where `fleet.tools.SCHEMA_TEMPLATE` finds it; each stands alone. They are closed: a field that
the API server would drop is an error, which is what catches a misspelt one.

JSON Schema draft 4, because that is what CRDs are written in (`exclusiveMinimum: true`) and what
kubeconform takes when a schema says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.build import parts
from sandbox.host import files

Schema = dict[str, Any]

_KUBERNETES = "k8s.io/kubernetes"
_CRD_FOLDERS = (
    ("github.com/fluxcd/source-controller", "config/crd/bases"),
    ("github.com/fluxcd/kustomize-controller", "config/crd/bases"),
    ("github.com/fluxcd/helm-controller", "config/crd/bases"),
    ("github.com/fluxcd/notification-controller", "config/crd/bases"),
    ("github.com/kyverno/kyverno", "charts/kyverno/charts/crds/templates"),
    ("github.com/kyverno/api", "charts/kyverno-api/templates/crds"),
    ("sigs.k8s.io/gateway-api", "config/crd/standard"),
)

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_SPECIAL: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer", "null"]},
    # Written `cpu: 1` as often as `cpu: "1"`.
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number", "null"]},
}
# Values are checked by these; defaults, titles and CEL rules are the API server's matter.
_KEPT = (
    "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "maxItems", "maxLength",
    "maxProperties", "minimum", "minItems", "minLength", "minProperties", "multipleOf", "pattern",
    "required", "type", "uniqueItems",
)  # fmt: skip
# Most formats mean something else, or nothing, to one of the two; these tell alternatives apart.
_FORMATS = ("ipv4", "ipv6")
_PREFIX = "#/definitions/"


def build(out: Path) -> None:
    """Write the schemas into the folder `out`, replacing what is there; the same bytes each time.

    kubeconform finds them with `-schema-location '<out>/' + fleet.tools.SCHEMA_TEMPLATE`.
    """
    swagger = parts.source(_KUBERNETES) / "api" / "openapi-spec" / "swagger.json"
    definitions = from_openapi(json.loads(swagger.read_text()))
    with files.fresh_folder(out) as folder:
        for location, schema in _all(definitions):
            path = folder / location
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")))


def _all(definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    for schema in definitions.values():
        if (kind := schema.get("x-kind")) is not None:
            yield kind, standalone(schema, definitions)
    for crd in _crds():
        for location, schema in from_crd(crd):
            yield location, standalone(schema, definitions)


def _crds() -> Iterator[Schema]:
    for module, folder in _CRD_FOLDERS:
        for path in sorted((parts.source(module) / folder).rglob("*.yaml")):
            for document in yaml.load_all(without_templating(path.read_text()), Loader=_Loader):
                if document and document["kind"] == "CustomResourceDefinition":
                    yield document


# The same loader in C where PyYAML has it: ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def location(api_version: str, kind: str) -> str:
    """Return where the schema of a kind is, as SCHEMA_TEMPLATE has it: apps/deployment_v1.json."""
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


def without_templating(text: str) -> str:
    """Drop the lines of a chart's template that are nothing but an instruction of Helm's.

    What is left of Kyverno's CRD templates is the whole CRD, but for its labels.
    """
    return "\n".join(
        line for line in text.split("\n") if not re.fullmatch(r"\s*\{\{.*\}\}\s*", line)
    )


def from_openapi(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the definitions of an OpenAPI v2 document as closed schemas.

    One that is a kind has its `location` under `x-kind`. Lists are left out: nobody writes them.
    """
    definitions: dict[str, Schema] = {}
    for name, definition in document["definitions"].items():
        # Null is let in here and not where it is referred to: kubeconform then names the one thing
        # that is wrong, instead of every alternative.
        schema = dict(_SPECIAL.get(name) or or_null(_of_openapi(definition)))
        groups = definition.get("x-kubernetes-group-version-kind", ())
        # More than one is something like DeleteOptions, which is never an object of its own.
        if len(groups) == 1 and not groups[0]["kind"].endswith("List"):
            group, version, kind = (groups[0][key] for key in ("group", "version", "kind"))
            schema["x-kind"] = location(f"{group}/{version}".lstrip("/"), kind)
        definitions[name] = schema
    return definitions


def _of_openapi(node: Schema) -> Schema:
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    schema = {key: node[key] for key in _KEPT if key in node}
    if node.get("format") == "int-or-string":
        schema["type"] = ["string", "integer"]
    if "items" in node:
        schema["items"] = _of_openapi(node["items"])
    if "properties" in node:
        required = node.get("required", ())
        schema["properties"] = {
            name: _of_openapi(child) if name in required else or_null(_of_openapi(child))
            for name, child in node["properties"].items()
        }
        schema["additionalProperties"] = False
    # With neither it is any object at all, such as RawExtension.
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _of_openapi(node["additionalProperties"])
    return schema


def from_crd(crd: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield (location, closed schema) for each served version of a CRD.

    `metadata` refers to Kubernetes' ObjectMeta, which a CRD only calls an object.
    """
    spec = crd["spec"]
    for version in spec["versions"]:
        if not version["served"]:
            continue
        schema = _of_crd(version["schema"]["openAPIV3Schema"])
        properties = schema.setdefault("properties", {})
        properties.setdefault("apiVersion", {"type": "string"})
        properties.setdefault("kind", {"type": "string"})
        properties["metadata"] = {"$ref": _PREFIX + _META}
        schema["required"] = sorted({"apiVersion", "kind", *schema.get("required", ())})
        yield location(f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


def _of_crd(node: Schema) -> Schema:
    """Close one level of a structural schema; what it does not name, the API server drops."""
    schema = _values(node)
    # The API server fills in defaults before it checks, so what is missing here may be there then.
    defaulted = {name for name, child in node.get("properties", {}).items() if "default" in child}
    if defaulted:
        for key in ("allOf", "anyOf", "oneOf", "not"):
            schema.pop(key, None)
        required = sorted(set(schema.pop("required", ())) - defaulted)
        # Draft 4 wants at least one name in it.
        schema |= {"required": required} if required else {}
    if "items" in node:
        schema["items"] = _of_crd(node["items"])
    if "properties" in node:
        schema["properties"] = {name: _of_crd(child) for name, child in node["properties"].items()}
    extra = node.get("additionalProperties")
    kept = node.get("x-kubernetes-preserve-unknown-fields") or node.get(
        "x-kubernetes-embedded-resource"
    )
    if isinstance(extra, dict):
        schema["additionalProperties"] = _of_crd(extra)
    elif node.get("type") == "object" and not kept and extra is not True:
        schema["additionalProperties"] = False
    if node.get("x-kubernetes-int-or-string"):
        schema["type"] = ["string", "integer"]
    return or_null(schema) if node.get("nullable") else schema


def _values(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Copy what checks values. Below allOf and its like nothing is closed: they name no fields."""
    if not isinstance(node, dict):
        return node
    schema = {key: node[key] for key in _KEPT if key in node}
    if node.get("format") in _FORMATS:
        schema["format"] = node["format"]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in node:
            schema[key] = [_branch(child) for child in node[key]]
    if "not" in node:
        schema["not"] = _branch(node["not"])
    return schema


def _branch(node: Schema) -> Schema:
    schema: Schema = _values(node)
    if "items" in node:
        schema["items"] = _branch(node["items"])
    if "properties" in node:
        schema["properties"] = {name: _branch(child) for name, child in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _branch(node["additionalProperties"])
    return schema


def or_null(schema: Schema) -> Schema:
    """Let a schema also accept null, which the API server takes for "not given"."""
    schema = dict(schema)
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*types, "null"]
    return schema


def standalone(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema with those definitions that it reaches, and no others."""
    reached: dict[str, Schema] = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            definition = definitions[name]
            reached[name] = {key: value for key, value in definition.items() if key != "x-kind"}
            waiting.extend(_references(definition))
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "definitions": reached,
        **{key: value for key, value in schema.items() if key != "x-kind"},
    }


def _references(node: Any) -> Iterable[str]:  # noqa: ANN401 - any part of a schema
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_PREFIX)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)
