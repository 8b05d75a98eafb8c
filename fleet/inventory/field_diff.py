"""The readable field differences of two objects. A secret value is never among them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.kube.manifest import Manifest

HIDDEN = "(hidden)"
# Longer values are cut, since a difference is one line for a person.
_MAX_LENGTH = 100
# The items of a list are matched by the first of these keys that tells all of them apart.
_ITEM_KEYS = ("name", "key", "mountPath", "containerPort", "port", "type", "kind", "host", "ip")
_SECRET_KEYS = ("data", "stringData")
# SOPS keeps its own keys and checksums here; they change with every encryption.
_SOPS = "sops"
_ENCRYPTED = "ENC["
# kubectl keeps a copy of a whole object in this annotation.
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A text that a reader could take for another type is shown with quotes.
_OTHER_TYPE = re.compile(r"|[+-]?[0-9.]+|true|false|null|~|.*[\x00-\x1f\x7f].*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class FieldDifference:
    """A field that differs: its path, and the two values as texts, None where there is none."""

    path: str
    before: str | None
    after: str | None

    def hidden(self) -> FieldDifference:
        """Return the difference without its values."""
        before, after = (None if text is None else HIDDEN for text in (self.before, self.after))
        return FieldDifference(path=self.path, before=before, after=after)

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: {self.after} is new"
        if self.after is None:
            return f"{self.path}: {self.before} is gone"
        if self.before == self.after:
            # The values are hidden, or they differ only in what was cut.
            return f"{self.path}: {self.before} differs"
        return f"{self.path}: {self.before} -> {self.after}"


class _Absent:
    """The value of a field that is not there."""


_ABSENT = _Absent()


def differences(before: Manifest, after: Manifest) -> tuple[FieldDifference, ...]:
    """Return the fields that differ between two objects, in the order of the first one."""
    return tuple(_compare("", before, after))


def path_of(keys: Iterable[str | int]) -> str:
    """Return keys and positions as one path, as differences name it."""
    path = ""
    for key in keys:
        path = f"{path}[{key}]" if isinstance(key, int) else _below(path, key)
    return path


def _compare(path: str, before: object, after: object) -> Iterator[FieldDifference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _mappings(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(path, before, after)
    elif before == after and type(before) is type(after):
        # In Python the number 1 equals true.
        return
    elif _is_text(before) and _is_text(after):
        yield _texts(path, str(before), str(after))
    else:
        yield FieldDifference(path=path, before=_shown(before), after=_shown(after))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\n" in value and not value.startswith(_ENCRYPTED)


def _mappings(
    path: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[FieldDifference]:
    is_secret = "Secret" in (before.get("kind"), after.get("kind"))
    for key in dict.fromkeys([*before, *after]):
        values = before.get(key, _ABSENT), after.get(key, _ABSENT)
        below = _below(path, key)
        if is_secret and key in _SECRET_KEYS:
            yield from _hidden_values(below, *values)
        elif key in (_SOPS, _COPY):
            yield from _hidden(below, *values)
        else:
            yield from _compare(below, *values)


def _hidden_values(path: str, before: object, after: object) -> Iterator[FieldDifference]:
    """Yield the keys whose values differ; a secret's keys are not secret."""
    old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
    if not old and not new:
        yield from _hidden(path, before, after)
    for key in dict.fromkeys([*old, *new]):
        yield from _hidden(_below(path, key), old.get(key, _ABSENT), new.get(key, _ABSENT))


def _hidden(path: str, before: object, after: object) -> Iterator[FieldDifference]:
    if before != after:
        shown = [None if value is _ABSENT else HIDDEN for value in (before, after)]
        yield FieldDifference(path=path, before=shown[0], after=shown[1])


def _lists(path: str, before: list[Any], after: list[Any]) -> Iterator[FieldDifference]:
    key = _item_key(before, after)
    if key is None:
        yield from _sequences(path, before, after)
        return
    old, new = ({str(item[key]): item for item in items} for items in (before, after))
    for name in dict.fromkeys([*old, *new]):
        step = f"{path}[{key}={name}]"
        yield from _compare(step, old.get(name, _ABSENT), new.get(name, _ABSENT))
    kept = [[name for name in names if name in old and name in new] for names in (old, new)]
    if kept[0] != kept[1]:
        orders = [_shortened(", ".join(names)) for names in kept]
        yield FieldDifference(path=f"{path} (order)", before=orders[0], after=orders[1])


def _item_key(before: list[Any], after: list[Any]) -> str | None:
    return next((key for key in _ITEM_KEYS if _matches(key, before, after)), None)


def _matches(key: str, before: list[Any], after: list[Any]) -> bool:
    """Tell whether items can be matched by a key; one item with another name is the same item."""
    if not _tells_apart(key, before, after):
        return False
    old, new = ({str(item[key]) for item in items} for items in (before, after))
    return not old or not new or bool(old & new)


def _tells_apart(key: str, *lists: list[Any]) -> bool:
    for items in lists:
        if not all(isinstance(item, Mapping) and key in item for item in items):
            return False
        values = [item[key] for item in items]
        if not all(isinstance(value, (str, int)) for value in values):
            return False
        if len({str(value) for value in values}) < len(values):
            return False
    return True


def _sequences(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[FieldDifference]:
    """Compare lists item by item; an item that came or went does not change all that follow."""
    texts = [
        [json.dumps(item, sort_keys=True, default=str) for item in items]
        for items in (before, after)
    ]
    matcher = difflib.SequenceMatcher(a=texts[0], b=texts[1], autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        for offset in range(max(end - start, new_end - new_start)):
            old, new = start + offset, new_start + offset
            position = old if old < end else new
            yield from _compare(
                f"{path}[{position}]",
                before[old] if old < end else _ABSENT,
                after[new] if new < new_end else _ABSENT,
            )


def _texts(path: str, before: str, after: str) -> FieldDifference:
    """Return the difference of two texts with several lines: the first line that differs."""
    old, new = before.splitlines(), after.splitlines()
    first = next(
        (number for number, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]),
        min(len(old), len(new)),
    )
    lines = [items[first] if first < len(items) else "" for items in (old, new)]
    return FieldDifference(
        path=f"{path} (line {first + 1})", before=_of_text(lines[0]), after=_of_text(lines[1])
    )


def _below(path: str, key: object) -> str:
    if not _PLAIN_KEY.fullmatch(str(key)):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def _shown(value: object) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return _of_text(value)
    return _shortened(json.dumps(_without_secrets(value), default=str))


def _of_text(text: str) -> str:
    if text.startswith(_ENCRYPTED):
        return HIDDEN
    return _shortened(json.dumps(text) if _OTHER_TYPE.fullmatch(text) else text)


def _without_secrets(value: object) -> object:
    """Return a value in which all secret values are hidden."""
    if isinstance(value, Mapping):
        is_secret = value.get("kind") == "Secret"
        return {
            key: HIDDEN
            if key in (_SOPS, _COPY) or (is_secret and key in _SECRET_KEYS)
            else _without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return HIDDEN if isinstance(value, str) and value.startswith(_ENCRYPTED) else value


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
