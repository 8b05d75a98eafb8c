"""Tests of fleet/config/stack_schema.py, and of the committed JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from fleet.config import stack_schema
from fleet.config.models import StackConfig
from fleet.config.stack_files import CLUSTER_KEYS, PROJECT_KEYS, SECRET_KEYS, SHARED_KEYS
from tests.support import REPOSITORY


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPOSITORY / stack_schema.FILE).read_text())
    return found


def test_it_is_current() -> None:
    text = (REPOSITORY / stack_schema.FILE).read_text(encoding="utf-8")
    assert text == stack_schema.generate(), "run `fleet schema > stack.schema.json`"


def test_it_has_every_key_of_the_model_and_no_other() -> None:
    config = committed()["properties"]["config"]
    names = {field.alias or name for name, field in StackConfig.model_fields.items()}
    in_stack_files = {*CLUSTER_KEYS, *SHARED_KEYS, *SECRET_KEYS}
    assert set(config["properties"]) == {f"fleet:{name}" for name in in_stack_files}
    assert names == {*in_stack_files, *PROJECT_KEYS}
    # A cluster may have no tenants, but its own folders must be listed.
    optional = ("tenants", "escSecrets")
    assert config["required"] == [f"fleet:{key}" for key in CLUSTER_KEYS if key not in optional]


def test_it_is_closed_and_explains_every_key() -> None:
    schema = committed()
    models = [schema, schema["properties"]["config"], *schema["definitions"].values()]
    assert all(model["additionalProperties"] is False for model in models)
    for model in schema["definitions"].values():
        assert all("description" in value for value in model["properties"].values())


def test_every_reference_is_there() -> None:
    text = (REPOSITORY / stack_schema.FILE).read_text(encoding="utf-8")
    assert "$defs" not in text
    for name in ("Repository", "Flux", "Cluster", "Entry"):
        assert f"#/definitions/{name}" in text
        assert name in committed()["definitions"]


def test_a_plain_token_is_no_valid_value() -> None:
    token = committed()["properties"]["config"]["properties"]["fleet:pullToken"]
    assert (token["type"], token["required"]) == ("object", ["secure"])


def test_the_stack_files_name_it() -> None:
    for file in sorted(REPOSITORY.glob("Pulumi.*.yaml")):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        assert first == f"# yaml-language-server: $schema=./{stack_schema.FILE}"
