"""The parts of a stack's configuration, validated one by one, so that all problems are found."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from fleet.config import keys, messages
from fleet.config.base import Strict
from fleet.config.keys import Location
from fleet.config.models import StackConfig

_Part = TypeVar("_Part")


def _model_of_one_key(name: str, field: FieldInfo) -> type[Strict]:
    definition: Any = {name: (field.annotation, field)}
    return create_model(StackConfig.__name__, __base__=Strict, **definition)


# Every top-level key of the model, alone in a model of its own, by its name in YAML.
_ONE_KEY: Mapping[str, type[Strict]] = {
    field.alias or name: _model_of_one_key(name, field)
    for name, field in StackConfig.model_fields.items()
}
# The name of its field in Python.
_NAMES = {key: next(iter(model.model_fields)) for key, model in _ONE_KEY.items()}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The valid parts with their values, and the locations of the invalid ones.

    A part is a top-level key, or one item of a top-level list or mapping.
    """

    valid: Mapping[Location, object]
    invalid: frozenset[Location]
    problems: tuple[str, ...]

    def get(self, key: str, kind: type[_Part]) -> _Part | None:
        """Return the value of a top-level key, None if it is not set or invalid."""
        found = self.valid.get((key,))
        return found if isinstance(found, kind) else None

    def items(self, key: str, kind: type[_Part]) -> dict[int | str, _Part]:
        """Return the valid items of a top-level list or mapping, by index or key."""
        return {
            location[1]: found
            for location, found in self.valid.items()
            if location[0] == key and len(location) > 1 and isinstance(found, kind)
        }

    def given_items(self, key: str) -> set[str]:
        """Return the keys of all items of a top-level mapping, valid or not, that are texts."""
        items = (
            where[1] for where in (*self.valid, *self.invalid) if where[0] == key and where[1:]
        )
        return {item for item in items if isinstance(item, str)}

    def is_given(self, *location: int | str) -> bool:
        """Say whether a part has a value, valid or not."""
        return location in self.invalid or self.valid.get(location) is not None

    def config(self) -> StackConfig:
        """Return the configuration that the parts make, which must all be valid."""
        values: dict[str, Any] = {}
        items: dict[int | str, dict[int | str, object]] = {}
        for (key, *rest), found in self.valid.items():
            if rest:
                items.setdefault(key, {})[rest[0]] = found
        for key, name in _NAMES.items():
            own = items.get(key, {})
            whole = tuple(own.values()) if _container(key) is list else own
            values[name] = self.valid.get((key,), whole)
        return StackConfig.model_construct(**values)


def validate(values: Mapping[str, Any], files: Mapping[Location, str], own_file: str) -> Parts:
    """Validate the values below `fleet:`; `files` has the file that sets each one."""
    valid: dict[Location, object] = {}
    invalid: set[Location] = set()
    problems: list[str] = []
    for key in _ONE_KEY:
        for location, alone in _parts(key, values):
            try:
                found = _value(key, alone)
            except ValidationError as error:
                invalid.add(location)
                file = files.get(location, files.get((key,), own_file))
                problems += (
                    messages.of_error(
                        file, values, (*location, *detail["loc"][len(location) :]), detail
                    )
                    for detail in error.errors(include_url=False)
                )
            else:
                valid[location] = found if len(location) == 1 else _only_item(found)
    for key in values:
        if key not in _ONE_KEY:
            problems.append(messages.unknown_key(files.get((key,), own_file), (key,)))
    return Parts(valid=valid, invalid=frozenset(invalid), problems=tuple(problems))


def _value(key: str, alone: Mapping[str, Any]) -> object:
    """Return the value of a part, which is alone below its key. Raises ValidationError."""
    if not alone:
        return _value_of_text(key, None)
    items = alone.get(key)
    if isinstance(items, list) and items and isinstance(items[0], str):
        return _value_of_text(key, items[0])
    return _validated(key, alone)


# Most stacks of a large fleet leave out the same keys, and have the same texts in their lists.
@functools.lru_cache(maxsize=2**12)
def _value_of_text(key: str, text: str | None) -> object:
    """Return the value of a list that has one text, or of a key that is left out."""
    return _validated(key, {} if text is None else {key: [text]})


def _validated(key: str, alone: Mapping[str, Any]) -> object:
    return getattr(_ONE_KEY[key].model_validate(alone), _NAMES[key])


def _parts(key: str, values: Mapping[str, Any]) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Yield every part of a top-level key, with the values in which it is alone."""
    value = values.get(key)
    container = _container(key)
    if container is None or not isinstance(value, container) or not value:
        yield (key,), {key: value} if key in values else {}
    elif isinstance(value, list):
        yield from (((key, index), {key: [item]}) for index, item in enumerate(value))
    else:
        yield from (((key, part), {key: {part: item}}) for part, item in value.items())


@functools.cache
def _container(key: str) -> type[list[Any]] | type[dict[Any, Any]] | None:
    declaration = keys.declared_at((key,))
    return declaration.container if declaration else None


def _only_item(found: Any) -> object:  # noqa: ANN401 - a tuple or a dict
    (item,) = found.values() if isinstance(found, dict) else found
    return item
