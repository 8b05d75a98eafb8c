"""JSON Schemas of every kind that the tree can hold, for a strict and offline kubeconform.

They are made from Kubernetes' OpenAPI document and from the CRDs of Flux, Kyverno and the Gateway
API. Each kind has one file, at the path of `fleet.check.schemas.SCHEMA_TEMPLATE`, and a file refers
to no other file. The schemas are closed: they refuse a field that the API server would drop, so
kubeconform finds misspelt fields. The schema of a kind has its scope under `x-scope`.

They are JSON Schema draft 4, because CRDs use its keywords (`exclusiveMinimum: true`), and
kubeconform expects that draft when a schema names none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet import cache, files
from fleet.kube import schema_sources, yaml_reader
from fleet.kube.fields import mapping_at, mappings_in
from fleet.kube.scopes import NAMESPACED

Schema = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
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
# The key of a kind's scope in its schema, and the scope of objects in a namespace.
SCOPE = "x-scope"
# No valid name is longer. These are also the names of files.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


def folder() -> Path:
    """Return the folder of the schemas, whether they are made or not.

    Its name changes with the pins and with this module, so a new fleet makes its schemas again.
    """
    inputs = schema_sources.PINS.read_bytes() + Path(__file__).read_bytes()
    return cache.schemas(hashlib.sha256(inputs).hexdigest()[:12])


def build(out: Path, read: schema_sources.Read) -> None:
    """Replace the folder `out` by one with all schemas. Every build gives the same bytes."""
    with files.fresh_folder(out) as made:
        for location, schema in _located_schemas(read):
            path = made / location
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")))


def _located_schemas(read: schema_sources.Read) -> Iterator[tuple[str, Schema]]:
    definitions: dict[str, Schema] = {}
    crds: list[Schema] = []
    for file in schema_sources.pinned():
        content = read(file)
        if file.path.endswith(".json"):
            definitions |= from_openapi(json.loads(content))
        else:
            crds += _crds(content)
    for schema in definitions.values():
        if (kind := schema.get("x-kind")) is not None:
            yield kind, standalone(schema, definitions)
    for crd in crds:
        for location, schema in from_crd(crd):
            yield location, standalone(schema, definitions)


def _crds(content: bytes) -> Iterator[Schema]:
    for document in yaml_reader.documents(content):
        if document and document["kind"] == "CustomResourceDefinition":
            yield document


def are_names(api_version: str, kind: str) -> bool:
    """Tell whether a kind has a `location`: no name in it leads to another folder."""
    group, separator, version = api_version.rpartition("/")
    is_group = _GROUP.fullmatch(group) if separator else True
    return bool(is_group and _LABEL.fullmatch(version) and _LABEL.fullmatch(kind))


def location(api_version: str, kind: str) -> str:
    """Return the path of a kind's schema, as in SCHEMA_TEMPLATE: apps/deployment_v1.json."""
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


def from_openapi(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the definitions of an OpenAPI v2 document as closed schemas.

    The definition of a kind has its `location` under `x-kind`. Lists have none, because a tree
    holds no list object.
    """
    definitions: dict[str, Schema] = {}
    scopes = _scopes(document)
    for name, definition in document["definitions"].items():
        # The definition itself allows null. A reference that says "this or null" would make
        # kubeconform report both alternatives for one error.
        schema = dict(_SPECIAL.get(name) or or_null(_openapi_schema(definition)))
        groups = definition.get("x-kubernetes-group-version-kind", ())
        # A definition with several kinds, such as DeleteOptions, is never an object of its own.
        if len(groups) == 1 and not groups[0]["kind"].endswith("List"):
            group, version, kind = (groups[0][key] for key in ("group", "version", "kind"))
            schema["x-kind"] = location(f"{group}/{version}".lstrip("/"), kind)
            if (group, version, kind) in scopes:
                schema[SCOPE] = scopes[group, version, kind]
        definitions[name] = schema
    return definitions


def _scopes(document: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    """Return the scope of each (group, version, kind) that the API has paths for."""
    scopes: dict[tuple[str, str, str], str] = {}
    for path, operations in document.get("paths", {}).items():
        scope = NAMESPACED if "/namespaces/{namespace}/" in path else "Cluster"
        for operation in operations.values():
            names = mapping_at(operation, "x-kubernetes-group-version-kind")
            if names:
                key = (names["group"], names["version"], names["kind"])
                # A list of all namespaces has a path without a namespace.
                scopes[key] = NAMESPACED if scopes.get(key) == NAMESPACED else scope
    return scopes


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


def from_crd(crd: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield (location, closed schema) for each served version of a CRD.

    `metadata` refers to Kubernetes' ObjectMeta, because a CRD gives no fields for it. A malformed
    part of a CRD limits nothing.
    """
    spec = mapping_at(crd, "spec")
    for version in mappings_in(spec.get("versions")):
        if version.get("served") is not True:
            continue
        schema = _crd_schema(mapping_at(version, "schema", "openAPIV3Schema"))
        properties = schema.setdefault("properties", {})
        properties.setdefault("apiVersion", {"type": "string"})
        properties.setdefault("kind", {"type": "string"})
        properties["metadata"] = {"$ref": _PREFIX + META}
        schema["required"] = sorted({"apiVersion", "kind", *_texts(schema.get("required"))})
        schema[SCOPE] = str(spec.get("scope"))
        api_version = f"{spec.get('group')}/{version.get('name')}"
        kind = str(mapping_at(spec, "names").get("kind"))
        if are_names(api_version, kind):
            yield location(api_version, kind), schema


def _crd_schema(node: object) -> Schema:
    """Return a structural schema, closed at each level, as the API server drops other fields."""
    if not isinstance(node, dict):
        return {}
    schema = _value_rules(node)
    properties = mapping_at(node, "properties")
    # The API server sets defaults before it validates, so a field with a default can be missing.
    defaulted = {name for name in properties if "default" in mapping_at(properties, name)}
    if defaulted:
        for key in ("allOf", "anyOf", "oneOf", "not"):
            schema.pop(key, None)
        required = sorted(set(_texts(schema.pop("required", ()))) - defaulted)
        # Draft 4 does not allow an empty `required`.
        schema |= {"required": required} if required else {}
    if "items" in node:
        schema["items"] = _crd_schema(node["items"])
    if "properties" in node:
        schema["properties"] = {name: _crd_schema(child) for name, child in properties.items()}
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


def _value_rules(node: object) -> Schema:
    """Return the keywords that limit values. Alternatives below them stay open for other fields."""
    if not isinstance(node, dict):
        return {}
    schema = {key: node[key] for key in _VALUE_KEYWORDS if key in node}
    if node.get("format") in _FORMATS:
        schema["format"] = node["format"]
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(node.get(key), list):
            schema[key] = [_alternative(child) for child in node[key]]
    if "not" in node:
        schema["not"] = _alternative(node["not"])
    return schema


def _alternative(node: object) -> Schema:
    schema = _value_rules(node)
    if not isinstance(node, dict):
        return schema
    if "items" in node:
        schema["items"] = _alternative(node["items"])
    if "properties" in node:
        properties = mapping_at(node, "properties")
        schema["properties"] = {name: _alternative(child) for name, child in properties.items()}
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _alternative(node["additionalProperties"])
    return schema


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def or_null(schema: Schema) -> Schema:
    """Return a schema that also accepts null, which the API server reads as an absent field."""
    schema = dict(schema)
    if isinstance(schema.get("enum"), list):
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
