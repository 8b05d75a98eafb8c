"""JSON Schemas of every kind that the tree can hold, for a strict and offline kubeconform.

They are built from Kubernetes' OpenAPI document and from the CRDs of Flux, Kyverno and the Gateway
API. Each kind has one file, at the path of `fleet.check.schemas.SCHEMA_TEMPLATE`, and a file refers
to no other file. The schemas are closed: they refuse a field that the API server would drop, so
kubeconform finds misspelt fields.

They are JSON Schema draft 4, because CRDs use its keywords (`exclusiveMinimum: true`), and
kubeconform expects that draft when a schema names none.
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
    # Both `cpu: 1` and `cpu: "1"` are in use.
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number", "null"]},
}
# Only these keywords limit values. Defaults, titles and CEL rules are left to the API server.
_VALUE_KEYWORDS = (
    "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "maxItems", "maxLength",
    "maxProperties", "minimum", "minItems", "minLength", "minProperties", "multipleOf", "pattern",
    "required", "type", "uniqueItems",
)  # fmt: skip
# Kubernetes and kubeconform agree on few formats. These two are needed to tell alternatives apart.
_FORMATS = ("ipv4", "ipv6")
_PREFIX = "#/definitions/"


def build(out: Path) -> None:
    """Replace the folder `out` by one with all schemas. Every build gives the same bytes.

    kubeconform finds them with `-schema-location '<out>/' + fleet.check.schemas.SCHEMA_TEMPLATE`.
    """
    swagger = parts.source(_KUBERNETES) / "api" / "openapi-spec" / "swagger.json"
    definitions = from_openapi(json.loads(swagger.read_text()))
    with files.fresh_folder(out) as folder:
        for location, schema in _located_schemas(definitions):
            path = folder / location
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")))


def _located_schemas(definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
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


# The C loader is ten times as fast, but PyYAML can be built without it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def location(api_version: str, kind: str) -> str:
    """Return the path of a kind's schema, as in SCHEMA_TEMPLATE: apps/deployment_v1.json."""
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


def without_templating(text: str) -> str:
    """Remove the lines of a chart's template that hold only an instruction of Helm.

    The rest of a CRD template of Kyverno is the complete CRD without its labels.
    """
    return "\n".join(
        line for line in text.split("\n") if not re.fullmatch(r"\s*\{\{.*\}\}\s*", line)
    )


def from_openapi(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the definitions of an OpenAPI v2 document as closed schemas.

    The definition of a kind has its `location` under `x-kind`. Lists have none, because a tree
    holds no list object.
    """
    definitions: dict[str, Schema] = {}
    for name, definition in document["definitions"].items():
        # The definition itself allows null. A reference that says "this or null" would make
        # kubeconform report both alternatives for one error.
        schema = dict(_SPECIAL.get(name) or or_null(_openapi_schema(definition)))
        groups = definition.get("x-kubernetes-group-version-kind", ())
        # A definition with several kinds, such as DeleteOptions, is never an object of its own.
        if len(groups) == 1 and not groups[0]["kind"].endswith("List"):
            group, version, kind = (groups[0][key] for key in ("group", "version", "kind"))
            schema["x-kind"] = location(f"{group}/{version}".lstrip("/"), kind)
        definitions[name] = schema
    return definitions


def _openapi_schema(node: Schema) -> Schema:
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    schema = {key: node[key] for key in _VALUE_KEYWORDS if key in node}
    if node.get("format") == "int-or-string":
        schema["type"] = ["string", "integer"]
    if "items" in node:
        schema["items"] = _openapi_schema(node["items"])
    if "properties" in node:
        required = node.get("required", ())
        schema["properties"] = {
            name: _openapi_schema(child) if name in required else or_null(_openapi_schema(child))
            for name, child in node["properties"].items()
        }
        schema["additionalProperties"] = False
    # A schema with neither accepts every object; RawExtension is one.
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _openapi_schema(node["additionalProperties"])
    return schema


def from_crd(crd: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield (location, closed schema) for each served version of a CRD.

    `metadata` refers to Kubernetes' ObjectMeta, because a CRD gives no fields for it.
    """
    spec = crd["spec"]
    for version in spec["versions"]:
        if not version["served"]:
            continue
        schema = _crd_schema(version["schema"]["openAPIV3Schema"])
        properties = schema.setdefault("properties", {})
        properties.setdefault("apiVersion", {"type": "string"})
        properties.setdefault("kind", {"type": "string"})
        properties["metadata"] = {"$ref": _PREFIX + _META}
        schema["required"] = sorted({"apiVersion", "kind", *schema.get("required", ())})
        yield location(f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


def _crd_schema(node: Schema) -> Schema:
    """Return a structural schema, closed at each level, as the API server drops other fields."""
    schema = _value_rules(node)
    # The API server sets defaults before it validates, so a field with a default can be missing.
    defaulted = {name for name, child in node.get("properties", {}).items() if "default" in child}
    if defaulted:
        for key in ("allOf", "anyOf", "oneOf", "not"):
            schema.pop(key, None)
        required = sorted(set(schema.pop("required", ())) - defaulted)
        # Draft 4 does not allow an empty `required`.
        schema |= {"required": required} if required else {}
    if "items" in node:
        schema["items"] = _crd_schema(node["items"])
    if "properties" in node:
        schema["properties"] = {
            name: _crd_schema(child) for name, child in node["properties"].items()
        }
    extra = node.get("additionalProperties")
    is_open = node.get("x-kubernetes-preserve-unknown-fields") or node.get(
        "x-kubernetes-embedded-resource"
    )
    if isinstance(extra, dict):
        schema["additionalProperties"] = _crd_schema(extra)
    elif node.get("type") == "object" and not is_open and extra is not True:
        schema["additionalProperties"] = False
    if node.get("x-kubernetes-int-or-string"):
        schema["type"] = ["string", "integer"]
    return or_null(schema) if node.get("nullable") else schema


def _value_rules(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return the keywords that limit values. Alternatives below them stay open for other fields."""
    if not isinstance(node, dict):
        return node
    schema = {key: node[key] for key in _VALUE_KEYWORDS if key in node}
    if node.get("format") in _FORMATS:
        schema["format"] = node["format"]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in node:
            schema[key] = [_alternative(child) for child in node[key]]
    if "not" in node:
        schema["not"] = _alternative(node["not"])
    return schema


def _alternative(node: Schema) -> Schema:
    schema: Schema = _value_rules(node)
    if "items" in node:
        schema["items"] = _alternative(node["items"])
    if "properties" in node:
        schema["properties"] = {
            name: _alternative(child) for name, child in node["properties"].items()
        }
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _alternative(node["additionalProperties"])
    return schema


def or_null(schema: Schema) -> Schema:
    """Return a schema that also accepts null, which the API server reads as an absent field."""
    schema = dict(schema)
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*types, "null"]
    return schema


def standalone(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema together with the definitions that it refers to, directly or not."""
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
