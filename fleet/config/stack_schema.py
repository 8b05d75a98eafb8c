"""The JSON Schema of a stack file, generated from the model, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.config import keys
from fleet.config.models import StackConfig
from fleet.config.stack_files import CLUSTER_KEYS, ENGINE_KEYS, PROJECT, PROJECT_KEYS

FILE = "stack.schema.json"


def generate() -> str:
    """Return the schema as JSON text, as it is committed in `stack.schema.json`."""
    model = StackConfig.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = model["$defs"]
    _encrypt_secrets(model, definitions)
    config = {
        f"{PROJECT}:{key}": value
        for key, value in model["properties"].items()
        if key not in PROJECT_KEYS
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of one cluster: Pulumi.<stack>.yaml",
        "type": "object",
        "additionalProperties": False,
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [
                    f"{PROJECT}:{key}" for key in model["required"] if key in CLUSTER_KEYS
                ],
                "properties": config,
                # Other namespaces belong to other providers.
                "patternProperties": {f"^(?!{PROJECT}:)[^:]+:.+$": True},
                "additionalProperties": False,
            },
            **dict.fromkeys(ENGINE_KEYS, True),
        },
        "definitions": definitions,
    }
    text = json.dumps(schema, indent=2)
    return text.replace("#/$defs/", "#/definitions/") + "\n"


def _encrypt_secrets(model: dict[str, Any], definitions: Mapping[str, Any]) -> None:
    """Replace the schema of every secret by that of the encrypted value that Pulumi writes."""
    for location, declaration in keys.all_declared():
        if not declaration.secret:
            continue
        holder = keys.declared_at(location[:-1])
        name = holder.model.__name__ if holder and holder.model else ""
        properties = definitions.get(name, model)["properties"]
        properties[location[-1]] = {
            "type": "object",
            "description": properties[location[-1]]["description"],
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        }
