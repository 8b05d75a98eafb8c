"""Tests of the conversion of Kubernetes' OpenAPI document and of CRDs to JSON Schemas."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.check import json_schemas

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def openapi(**definitions: Any) -> dict[str, Any]:  # noqa: ANN401 - definitions are any JSON
    return json_schemas.from_openapi({"definitions": definitions})


def crd(properties: dict[str, Any], **version: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    served = {"name": "v1", "served": True, **version}
    root = {"type": "object", "properties": properties}
    return {
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing"},
            "versions": [{**served, "schema": {"openAPIV3Schema": root}}],
        }
    }


def spec_of(properties: dict[str, Any]) -> dict[str, Any]:
    ((_, schema),) = json_schemas.from_crd(crd({"spec": properties}))
    found: dict[str, Any] = schema["properties"]["spec"]
    return found


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("v1", "Pod", "v1/pod_v1.json"),
        ("apps/v1", "Deployment", "apps/deployment_v1.json"),
        ("kyverno.io/v1", "ClusterPolicy", "kyverno.io/clusterpolicy_v1.json"),
    ],
)
def test_location_is_the_path_that_kubeconform_reads(
    api_version: str, kind: str, expected: str
) -> None:
    assert json_schemas.location(api_version, kind) == expected


def test_an_object_with_fields_is_closed_and_one_without_is_open() -> None:
    made = openapi(
        Closed={"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        Open={"type": "object", "description": "anything"},
    )
    assert made["Closed"] == {
        "type": ["object", "null"],
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert made["Open"] == {"type": ["object", "null"]}


def test_only_optional_fields_may_be_null() -> None:
    made = openapi(
        T={
            "type": "object",
            "required": ["must"],
            "properties": {
                "must": {"type": "string"},
                "may": {"type": "string"},
                "ref": {"$ref": "#/definitions/T", "description": "dropped"},
            },
        }
    )
    assert made["T"]["properties"] == {
        "must": {"type": "string"},
        "may": {"type": ["string", "null"]},
        "ref": {"$ref": "#/definitions/T"},
    }


def test_quantities_may_be_numbers_and_ports_may_be_names() -> None:
    made = openapi(
        **{
            QUANTITY: {"type": "string"},
            "Port": {"type": "string", "format": "int-or-string"},
        }
    )
    assert made[QUANTITY]["type"] == ["string", "number", "null"]
    assert made["Port"]["type"] == ["string", "integer", "null"]


def test_kinds_are_those_with_one_group_and_no_lists() -> None:
    def kind(*names: str) -> dict[str, Any]:
        groups = [{"group": "", "version": "v1", "kind": name} for name in names]
        return {"type": "object", "x-kubernetes-group-version-kind": groups}

    made = openapi(Pod=kind("Pod"), PodList=kind("PodList"), Options=kind("A", "B"))
    assert [schema.get("x-kind") for schema in made.values()] == ["v1/pod_v1.json", None, None]


def test_a_custom_resource_has_the_metadata_of_every_object() -> None:
    ((location, schema),) = json_schemas.from_crd(crd({"metadata": {"type": "object"}}))
    assert location == "example.com/thing_v1.json"
    assert schema["properties"]["metadata"] == {"$ref": f"#/definitions/{META}"}
    assert schema["required"] == ["apiVersion", "kind"]
    assert schema["additionalProperties"] is False


def test_a_version_that_is_not_served_has_no_schema() -> None:
    assert list(json_schemas.from_crd(crd({}, served=False))) == []


def test_a_custom_resource_is_closed_at_each_level_that_its_crd_does_not_open() -> None:
    spec = spec_of(
        {
            "type": "object",
            "properties": {
                "closed": {"type": "object"},
                "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "embedded": {"type": "object", "x-kubernetes-embedded-resource": True},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    )
    assert spec["additionalProperties"] is False
    assert spec["properties"] == {
        "closed": {"type": "object", "additionalProperties": False},
        "kept": {"type": "object"},
        "embedded": {"type": "object"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    }


def test_conditions_on_values_close_nothing() -> None:
    either = [{"required": ["a"]}, {"properties": {"b": {"format": "ipv4"}}}]
    spec = spec_of({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": either})
    assert spec["oneOf"] == either


def test_a_field_with_a_default_may_be_missing() -> None:
    spec = spec_of(
        {
            "type": "object",
            "required": ["type", "value"],
            "properties": {"type": {"type": "string", "default": "x"}, "value": {}},
            "oneOf": [{"required": ["type"]}],
        }
    )
    assert spec["required"] == ["value"]
    assert "oneOf" not in spec


def test_int_or_string_and_nullable_of_a_custom_resource() -> None:
    spec = spec_of(
        {
            "type": "object",
            "properties": {
                "port": {
                    "x-kubernetes-int-or-string": True,
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                },
                "none": {"type": "string", "enum": ["x"], "nullable": True},
            },
        }
    )
    assert spec["properties"]["port"]["type"] == ["string", "integer"]
    assert spec["properties"]["none"] == {"type": ["string", "null"], "enum": ["x", None]}


def test_a_schema_holds_the_definitions_that_it_refers_to_and_no_others() -> None:
    definitions = openapi(
        A={"type": "object", "properties": {"b": {"$ref": "#/definitions/B"}}},
        B={"type": "array", "items": {"$ref": "#/definitions/A"}},
        C={"type": "string"},
    )
    made = json_schemas.standalone(definitions["A"], definitions)
    assert sorted(made["definitions"]) == ["A", "B"]
    assert made["properties"] == {"b": {"$ref": "#/definitions/B"}}
