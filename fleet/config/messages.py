"""The problem that each error of pydantic is reported as."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from fleet.config import keys
from fleet.config.base import PLAIN_SECRET, Hidden, Scope
from fleet.config.keys import Location, key_at
from fleet.config.problem import problem, shown
from fleet.config.stack_files import PROJECT_FILE

# Texts for pydantic's own errors; every other error brings its text along.
_TYPES = {
    "string_type": "must be a text; quote it",
    "tuple_type": "must be a list, `- entry` lines ([] for none)",
    "model_type": "must be a mapping, `key: value` lines",
    "dict_type": "must be a mapping, `key: value` lines",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
}


def of_error(file: str, values: Mapping[str, Any], location: Location, error: ErrorDetails) -> str:
    """Return the line of one error that pydantic found in the values below `fleet:`."""
    if location[-1] == "[key]" and error["type"] == "literal_error":
        return unknown_key(file, location[:-1])
    if location[-1] == "[key]" or error["type"] == "invalid_key":
        own = tuple(part for part in location if part != "[key]")
        is_text = error["type"] == "value_error"
        text = error["msg"].removeprefix("Value error, ") if is_text else "is no text; quote it"
        return problem(file, key_at(own), f"the key {text}")
    if error["type"] == "extra_forbidden":
        return unknown_key(file, location)
    if error["type"] == "missing":
        shared = len(location) == 1 and location[0] in keys.keys_of(Scope.SHARED)
        where = f"this file (or {PROJECT_FILE})" if shared else "this file"
        return problem(file, key_at(location), f"missing; set it in {where}")
    if error["type"] == PLAIN_SECRET:
        command = keys.secret_command(location)
        return problem(file, key_at(location), error["msg"].replace("{command}", command))
    return problem(file, key_at(location), _about_value(location, _at(values, location), error))


def unknown_key(file: str, location: Location) -> str:
    """Return the line of a key that no model has, with the key that is probably meant."""
    declaration = keys.declared_at(location[:-1])
    known = declaration.keys if declaration else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
    return problem(file, key_at(location), f"unknown key; {hint}")


def _about_value(location: Location, value: object, error: ErrorDetails) -> str:
    text = _TYPES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "must be")
    if error["type"] == "literal_error":
        text = text.replace("'", "")
    if error["type"] == "greater_than_equal":
        text = f"must be {error['ctx']['ge']} or more"
    if error["type"] == "less_than_equal":
        text = f"must be {error['ctx']['le']} or less"
    if error["type"] == "string_type" and isinstance(value, (dict, list)):
        text = "must be a single text"
    if value is None:
        return f"has no value; it {text.removesuffix('; quote it')}"
    if isinstance(value, str) and not value.strip():
        text = "must not be empty; set a value"
    return f"{'it' if _is_hidden(location) else shown(value)} {text}"


def _is_hidden(location: Location) -> bool:
    """Say whether a secret could be at a location, in its own place or by mistake."""
    declaration = keys.declared_at(location)
    if declaration and Hidden() in declaration.annotations:
        return True
    return location[0] in keys.keys_of(Scope.SECRET)


def _at(values: Mapping[str, Any], location: Location) -> object:
    value: Any = values
    for part in location:
        try:
            value = value[part]
        except (LookupError, TypeError):
            break  # An entry that is only its path has no keys.
    return value
