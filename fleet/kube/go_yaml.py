"""YAML as Flux writes and reads one object: with the library that Kubernetes' programs share.

Which texts get quotes decides what becomes of a variable in them, and which plain texts are numbers
decides what its value becomes.
"""

from __future__ import annotations

import base64
import binascii
import decimal
import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import yaml

from fleet.kube.manifest import Manifest
from fleet.kube.yaml_reader import check_size

_TAG = "tag:yaml.org,2002:"
_WORDS: Mapping[str, bool | float | None] = {
    **{
        form: value
        for value, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")))
        for word in words
        for form in (word, word.capitalize(), word.upper())
    },
    **dict.fromkeys(("y", "Y"), True),
    **dict.fromkeys(("n", "N"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_DATE = re.compile(
    r"[0-9]{4}-(1[0-2]|0?[1-9])-(3[01]|[12][0-9]|0?[1-9])"
    r"([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_INTEGER = re.compile(
    r"[-+]?(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>0|[1-9][0-9]*))"
)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# Go reads these too when a text begins with a point.
_POINT_FLOAT = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
# They were floats in YAML 1.1, so they are quoted.
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
# JSON has numbers up to here; a larger one keeps its exponent.
_LARGEST = 1e21


def resolved(text: str) -> object:
    """Return the value of a plain text: a number, a boolean, null, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return float(text) if _POINT_FLOAT.fullmatch(text) else text
    if first not in "+-0123456789" or _DATE.fullmatch(text):
        return text
    plain = text.replace("_", "")
    if (match := _INTEGER.fullmatch(plain)) and match.lastgroup:
        number = int(match[match.lastgroup], _BASES[match.lastgroup])
        number = -number if plain.startswith("-") else number
        if -(2**63) <= number < 2**64 and not (number >= 2**63 and plain.startswith("+")):
            return number
    return float(plain) if _FLOAT.fullmatch(plain) else text


def to_text(manifest: Manifest) -> str:
    """Return an object as Flux writes it before it substitutes variables."""
    document = yaml.DocumentStartEvent(explicit=False), yaml.DocumentEndEvent(explicit=False)
    events = (yaml.StreamStartEvent(), document[0], *_events(manifest), document[1])
    return str(
        yaml.emit(
            chain(events, [yaml.StreamEndEvent()]), Dumper=yaml.CSafeDumper, allow_unicode=True
        )
    )


def _events(value: Any) -> Iterator[yaml.Event]:  # noqa: ANN401 - any field
    if isinstance(value, dict):
        yield yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=False)
        for key in sorted(value):
            yield from _events(str(key))
            yield from _events(value[key])
        yield yaml.MappingEndEvent()
    elif isinstance(value, list):
        yield yaml.SequenceStartEvent(anchor=None, tag=None, implicit=True, flow_style=False)
        for item in value:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        style = _style(text) if isinstance(value, str) else ""
        yield yaml.ScalarEvent(
            anchor=None, tag=None, implicit=(True, True), value=text, style=style
        )


def _style(text: str) -> str:
    if "\n" in text:
        return "|"
    is_text = isinstance(resolved(text), str) and text != "<<" and not _BASE_60.fullmatch(text)
    return "" if is_text else '"'


def from_text(text: str) -> Manifest:
    """Return the object that Flux reads from a text. Raises ValueError, one line."""
    try:
        check_size(text)
        events = yaml.parse(text, Loader=yaml.CSafeLoader)
        next(events)
        next(events)
        found = _Reader(events).value(next(events))
    except (ValueError, StopIteration, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not isinstance(found, dict):
        raise ValueError("an object is no mapping")
    return found


class _Reader:
    """The values of a document, read event by event."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Any] = {}

    def value(self, event: yaml.Event) -> Any:  # noqa: ANN401 - any field
        """Return the value that begins with an event."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"unknown anchor {event.anchor}")
            return self._anchors[event.anchor]
        found: Any
        if isinstance(event, yaml.MappingStartEvent):
            found = self._mapping()
        elif isinstance(event, yaml.SequenceStartEvent):
            found = [*self._items()]
        else:
            found = _number_as_json(_scalar(event))
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = found
        return found

    def _items(self) -> Iterator[Any]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self.value(event)

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise ValueError("a key is a list, a mapping or an alias")
            value = self.value(next(self._events))
            if event.value == "<<" and event.implicit[0]:
                for merged in reversed(value) if isinstance(value, list) else [value]:
                    if not isinstance(merged, dict):
                        raise ValueError("<< needs a mapping or a list of mappings")
                    found |= merged
            else:
                found[_key(_scalar(event))] = value
        return found


def _key(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        special = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
        return special.get(str(value), f"{value:g}")
    if isinstance(value, str) or (isinstance(value, int) and value < 2**63):
        return str(value)
    raise ValueError("a key is null or too large a number")


def _scalar(event: yaml.Event) -> object:
    if not isinstance(event, yaml.ScalarEvent):
        raise ValueError("a value is neither a list, a mapping nor a text")
    text: str = event.value
    if event.tag is None:
        return resolved(text) if event.implicit[0] else text
    kind = event.tag.removeprefix(_TAG)
    if kind == "binary":
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("!!binary value contains invalid base64 data") from None
    if kind not in _KINDS:
        return text
    found = resolved(text)
    if kind == "float" and isinstance(found, int) and not isinstance(found, bool):
        return float(found)
    if type(found) is not _KINDS[kind]:
        raise ValueError(f"cannot decode {text} as a !!{kind}")
    return found


_KINDS: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "null": type(None)}


def _number_as_json(value: object) -> object:
    """Return a value as it is after JSON, in which Flux's programs read each number as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    number = float(value)
    if number in (float("inf"), float("-inf")) or number != number:
        raise ValueError(f"unsupported value: {value}")
    # JSON has the shortest digits that are read as the same float.
    is_whole = number.is_integer() and abs(number) < _LARGEST
    return int(decimal.Decimal(repr(number))) if is_whole else number


def plain(text: str) -> object:
    """Return the value of a plain text as it is after JSON. Raises ValueError."""
    return _number_as_json(resolved(text))
