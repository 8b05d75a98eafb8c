"""Tests of fleet/config/keys.py and messages.py, for every key that the models declare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.config import keys, load
from fleet.config.base import Scope
from fleet.config.keys import Location
from fleet.config.models import StackConfig
from fleet.errors import ConfigError
from tests.support import write

DECLARED = dict(keys.all_declared())
# Every place with a fixed set of keys: the models, and mappings with named keys.
WITH_KEYS = [location for location, declaration in DECLARED.items() if declaration.keys]
PROJECT_KEYS = keys.keys_of(Scope.PROJECT)
SECRET_KEYS = keys.keys_of(Scope.SECRET)
SECRETS = [location for location, declaration in DECLARED.items() if declaration.secret]


def problems(checkout: Path, location: Location, value: object) -> list[str]:
    """Return the problems of a stack file that has only this value at the location."""
    for part in reversed(location):
        value = [value] if part == 0 else {part: value}
    assert isinstance(value, dict)
    config = {f"fleet:{key}": inside for key, inside in value.items()}
    # JSON is YAML as well.
    write(checkout, {"Pulumi.dev.yaml": json.dumps({"config": config})})
    with pytest.raises(ConfigError) as caught:
        load.stack(checkout, "dev")
    return list(caught.value.problems)


def lines_about(found: list[str], location: Location) -> list[str]:
    """Return the problems of the value at the location itself, without those of its tenant."""
    start = f"Pulumi.dev.yaml: {keys.key_at(location)}: "
    no_tenant = f"{start}no tenant of this cluster has that name"
    return [line for line in found if line.startswith(start) and not line.startswith(no_tenant)]


def test_every_nested_model_is_found() -> None:
    models = {declaration.model for declaration in DECLARED.values() if declaration.model}
    assert {model.__name__ for model in models} == {
        "StackConfig", "Repository", "Cluster", "FormerPlace", "Flux", "Entry", "TenantConfig",
        "TenantDefaults", "TenantRepository", "Limits", "ExtraKinds", "InFluxSystem",
        "TenantCredentials",
    }  # fmt: skip


def test_every_top_level_key_has_one_scope() -> None:
    by_scope = [key for scope in Scope for key in keys.keys_of(scope)]
    names = [field.alias or name for name, field in StackConfig.model_fields.items()]
    assert sorted(by_scope) == sorted(names)


def test_every_secret_is_below_a_key_with_the_scope_of_secrets() -> None:
    secrets = {location[0] for location, found in DECLARED.items() if found.secret}
    assert secrets == set(SECRET_KEYS)
    for key in SECRET_KEYS:
        assert DECLARED[keys.secret_below(key)].secret


@pytest.mark.parametrize("location", WITH_KEYS, ids=keys.key_at)
def test_an_unknown_key_is_one_line(location: Location, checkout: Path) -> None:
    unknown = (*location, "zzz")
    (line,) = lines_about(problems(checkout, unknown, 1), unknown)
    known = ", ".join(DECLARED[location].keys)
    assert line.endswith(f": unknown key; known keys: {known}")


@pytest.mark.parametrize("location", WITH_KEYS, ids=keys.key_at)
def test_a_misspelled_key_is_one_line(location: Location, checkout: Path) -> None:
    for key in DECLARED[location].keys:
        misspelled = (*location, f"{key}x")
        (line,) = lines_about(problems(checkout, misspelled, 1), misspelled)
        assert line.endswith(f": unknown key; did you mean {key}?")


# A stack file has no part of a key that only Pulumi.yaml may have, so the whole key is refused.
@pytest.mark.parametrize(
    "location",
    [place for place in DECLARED if place and (place[1:] == () or place[0] not in PROJECT_KEYS)],
    ids=keys.key_at,
)
def test_a_value_of_the_wrong_type_is_one_line(location: Location, checkout: Path) -> None:
    is_list = DECLARED[location].container is list
    # Not every mapping takes the name that stands for all names.
    location = tuple("name" if part == keys.ANY_NAME else part for part in location)
    wrong: Any = 1.5 if is_list else [["hunter2"]]
    found = problems(checkout, location, wrong)
    (line,) = lines_about(found, location)
    assert "\n" not in line
    if location[0] in SECRET_KEYS:
        assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("location", SECRETS, ids=keys.key_at)
def test_a_plain_secret_is_one_line_without_the_secret(location: Location, checkout: Path) -> None:
    found = problems(checkout, location, "hunter2")
    (line,) = lines_about(found, location)
    command = keys.secret_command(location)
    assert line.endswith(
        f"is readable by everybody who reads this file; revoke it and use `{command}`"
    )
    assert "hunter2" not in "".join(found)


def test_the_command_for_a_secret() -> None:
    token: Location = ("tenantCredentials", "billing", "token")
    assert keys.secret_command(token) == (
        "pulumi config set --secret --path fleet:tenantCredentials.billing.token"
    )
    assert keys.secret_command(("deployKeySeed",)) == (
        "openssl rand -base64 32 | pulumi config set --secret fleet:deployKeySeed"
    )
