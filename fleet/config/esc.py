"""Secrets that Pulumi ESC supplies: a stack file only lists which.

ESC is a service, so without a network nobody knows which values its environments have. But the tree
depends on them: a source refers to a Secret if there is one. So the stack file lists these secrets,
and `pulumi up` compares the list with the values that the engine has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.config import keys
from fleet.config.keys import Location, key_at
from fleet.config.problem import problem, shown
from fleet.config.stack_files import FileValues

_KEY = "escSecrets"
# It stands for the value in ESC, so that every rule treats it like one that the file has.
_ENCRYPTED = {"secure": ""}


@dataclass(frozen=True, kw_only=True)
class CompletedValues:
    """The values of a stack's own file and its secrets from ESC, and the problems of the list."""

    values: Mapping[str, Any]
    problems: tuple[str, ...]


def with_secrets(own: FileValues) -> CompletedValues:
    """Return the values of a stack's own file, with those that the file lists as ESC's."""
    values: Mapping[str, Any] = own.values or {}
    listed = values.get(_KEY)
    # The model reports a list of another form.
    items = enumerate(listed if isinstance(listed, list) else ())
    texts = {index: text for index, text in items if isinstance(text, str)}
    problems: list[str] = []
    if texts and not own.uses_esc:
        text = "this file names no environments of Pulumi ESC; add `environment:`"
        problems.append(problem(own.file, key_at((_KEY,)), text))
    for index, text in texts.items():
        try:
            values = _with_secret(values, _location(text))
        except ValueError as error:
            where = key_at((_KEY, index))
            problems.append(problem(own.file, where, f"{shown(text)} {error}"))
    return CompletedValues(values=values, problems=tuple(problems))


def _location(text: str) -> Location:
    location = tuple(text.split("."))
    declaration = keys.declared_at(location)
    if declaration is None or declaration.secret is None:
        known = (".".join(map(str, location)) for location in _all_secrets())
        raise ValueError(f"is no secret of fleet; use {', '.join(known)}")
    return location


def _with_secret(values: Mapping[str, Any], location: Location) -> Mapping[str, Any]:
    key, *rest = location
    inner = values.get(str(key))
    if not rest:
        if inner is not None:
            raise ValueError("is also set in this file, or listed twice; keep one")
        return {**values, str(key): _ENCRYPTED}
    if inner is not None and not isinstance(inner, dict):
        return values  # The model reports it.
    return {**values, str(key): _with_secret(inner or {}, tuple(rest))}


def secrets_in(values: Mapping[str, Any]) -> set[Location]:
    """Return the locations of all secrets that have a value, encrypted or not."""
    return {found for location in _all_secrets() for found in _existing(values, location)}


def _all_secrets() -> Iterator[Location]:
    return (location for location, declaration in keys.all_declared() if declaration.secret)


def _existing(values: object, location: Location) -> Iterator[Location]:
    if not location:
        if values is not None:
            yield ()
    elif isinstance(values, dict):
        first, *rest = location
        for key in values if first == keys.ANY_NAME else (first,):
            yield from ((key, *inner) for inner in _existing(values.get(key), tuple(rest)))
