"""The JSON Schema of a stack file, generated from the model, for editors."""

from __future__ import annotations

import json
from typing import Any

from fleet.config.models import StackConfig
from fleet.config.stack_files import CLUSTER_KEYS, ENGINE_KEYS, PROJECT

FILE = "stack.schema.json"


def generate() -> str:
    """Return the schema as JSON text, as it is committed in `stack.schema.json`."""
    model = StackConfig.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = model["$defs"]
    config = {f"{PROJECT}:{key}": value for key, value in model["properties"].items()}
    for holder, key in (
        (config, f"{PROJECT}:pullToken"),
        (config, f"{PROJECT}:deployKeySeed"),
        (definitions["TenantCredentials"]["properties"], "token"),
        (definitions["TenantCredentials"]["properties"], "privateKey"),
    ):
        # In the file it is what `pulumi config set --secret` writes.
        holder[key] = {
            "type": "object",
            "description": holder[key]["description"],
            "properties": {"secure": {"type": "string"}},
            "required": ["secure"],
            "additionalProperties": False,
        }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The decisions of one cluster: Pulumi.<stack>.yaml",
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
                # Other namespaces are other providers' business.
                "patternProperties": {f"^(?!{PROJECT}:)[^:]+:.+$": True},
                "additionalProperties": False,
            },
            **dict.fromkeys(ENGINE_KEYS, True),
        },
        "definitions": definitions,
    }
    text = json.dumps(schema, indent=2)
    return text.replace("#/$defs/", "#/definitions/") + "\n"
