"""The keys of a stack file, as the models declare them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from fleet.config.base import MergedByKey, Scope, Secret
from fleet.config.models import StackConfig
from fleet.config.problem import shown_key

PROJECT = "fleet"
# Stands for every key of a mapping whose keys are free.
ANY_NAME = "<name>"
# The place of a value below `fleet:`: keys, and the indexes of list items.
Location = tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The type of a value, without `None`, and the annotations that its model gives it."""

    type: Any
    annotations: tuple[object, ...] = ()

    @property
    def model(self) -> type[BaseModel] | None:
        """The model of the value, None if it is not a mapping with keys of its own."""
        is_model = isinstance(self.type, type) and issubclass(self.type, BaseModel)
        return self.type if is_model else None

    @property
    def keys(self) -> list[str]:
        """The keys that the value may have, empty if it is no mapping or may have any."""
        if self.model:
            return [field.alias or name for name, field in self.model.model_fields.items()]
        if get_origin(self.type) is dict and get_origin(get_args(self.type)[0]) is Literal:
            return list(get_args(get_args(self.type)[0]))
        return []

    @property
    def secret(self) -> Secret | None:
        """The annotation of a value that must be encrypted, None for any other value."""
        return next((found for found in self.annotations if isinstance(found, Secret)), None)

    @property
    def container(self) -> type[list[Any]] | type[dict[Any, Any]] | None:
        """The type that holds the items of the value in YAML, None if it has no items."""
        return {tuple: list, dict: dict}.get(get_origin(self.type))

    @property
    def item(self) -> Declaration | None:
        """The declaration of every item of a list, or of every value of a mapping."""
        if self.container is None:
            return None
        return _declaration(get_args(self.type)[0 if self.container is list else 1])

    def part(self, part: int | str) -> Declaration | None:
        """Return the declaration of a key or an item of the value, None if it has none."""
        if self.model is None:
            return self.item
        for name, field in self.model.model_fields.items():
            if part == (field.alias or name):
                return _declaration(field.annotation, *field.metadata)
        return None


def _declaration(annotation: Any, *annotations: object) -> Declaration:  # noqa: ANN401 - any type
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _declaration(inner, *more, *annotations)
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        if len(members) == 1:
            return _declaration(members[0], *annotations)
    return Declaration(type=annotation, annotations=annotations)


def declared_at(location: Location) -> Declaration | None:
    """Return the declaration of the value at a location, None if no model declares it."""
    found: Declaration | None = Declaration(type=StackConfig)
    for part in location:
        found = found.part(part) if found else None
    return found


def all_declared() -> Iterator[tuple[Location, Declaration]]:
    """Yield every value that a stack file may have, with its location.

    An index of 0 stands for every item of a list, and ANY_NAME for every key that is free.
    """
    return _declared_below((), Declaration(type=StackConfig))


def _declared_below(
    location: Location, declaration: Declaration
) -> Iterator[tuple[Location, Declaration]]:
    yield location, declaration
    parts: list[int | str] = [*declaration.keys]
    if not parts and declaration.item:
        parts = [0 if declaration.container is list else ANY_NAME]
    for part in parts:
        if inner := declaration.part(part):
            yield from _declared_below((*location, part), inner)


@functools.cache
def keys_of(annotation: Scope | MergedByKey) -> tuple[str, ...]:
    """Return the top-level keys of a scope, or with another annotation."""
    top = Declaration(type=StackConfig)
    return tuple(
        key for key in top.keys if (found := top.part(key)) and annotation in found.annotations
    )


def key_at(location: Location) -> str:
    """Return a location as a problem names it, such as `fleet:tenants[0].name`."""
    parts = (_shown_part(location, depth) for depth in range(len(location)))
    return f"{PROJECT}:{''.join(parts).removeprefix('.')}"


def _shown_part(location: Location, depth: int) -> str:
    part = location[depth]
    if isinstance(part, int):
        return f"[{shown_key(part)}]"
    holder = declared_at(location[:depth])
    if holder and part in holder.keys:
        return f".{part}"
    return f".{shown_key(part, of_secrets=depth > 0 and location[0] in keys_of(Scope.SECRET))}"


def secret_command(location: Location) -> str:
    """Return the command that sets the encrypted value at a location."""
    declaration = declared_at(location)
    secret = declaration.secret if declaration else None
    making = f"{secret.made_by} | " if secret and secret.made_by else ""
    path = "--path " if len(location) > 1 else ""
    return f"{making}pulumi config set --secret {path}{PROJECT}:{'.'.join(map(str, location))}"


def secret_below(key: str) -> Location:
    """Return the location of the first encrypted value that a top-level key has."""
    return next(
        location
        for location, declaration in all_declared()
        if location[:1] == (key,) and declaration.secret
    )
