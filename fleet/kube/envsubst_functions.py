"""The functions of Flux's variables. Like Flux's, they count bytes and not characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from fleet.kube import envsubst_pattern

_NUMBER = re.compile(rb"[+-]?[0-9]+")
_INT64 = range(-(2**63), 2**63)
_Function = Callable[[bytes, Sequence[bytes]], bytes]


def call(function: str, value: str, arguments: Sequence[str]) -> str:
    """Return what a function makes of a value. Raises ValueError where Flux fails."""
    texts = [_encoded(argument) for argument in arguments]
    return _FUNCTIONS.get(function, _default)(_encoded(value), texts).decode(
        errors="surrogateescape"
    )


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _default(value: bytes, arguments: Sequence[bytes]) -> bytes:
    return value or b"".join(arguments)


def _lower(value: str) -> str:
    # Go maps each character to one. Python's full mapping can be longer, and begins with it here.
    return "".join(character.lower()[:1] for character in value)


def _upper(value: str) -> str:
    return "".join(map(_upper_character, value))


def _upper_character(character: str) -> str:
    # The title case is the one upper-case character of those whose full mapping has more.
    forms = (character.upper(), character.title(), character)
    return next(form for form in forms if len(form) == 1)


def _of_all(change: Callable[[str], str]) -> _Function:
    return lambda value, _: change(value.decode()).encode()


def _of_first(change: Callable[[str], str]) -> _Function:
    def changed(value: bytes, _: Sequence[bytes]) -> bytes:
        text = value.decode()
        return (change(text[:1]) + text[1:]).encode()

    return changed


def _part(value: bytes, arguments: Sequence[bytes]) -> bytes:
    numbers = [_number(argument) for argument in arguments]
    if None in numbers:
        return value
    start, *lengths = (number for number in numbers if number is not None)
    if start < 0:
        start = max(0, len(value) + start)
    end = start + lengths[0] if lengths else len(value)
    if end >= len(value):
        return value[start:]
    if end < start:
        raise ValueError("has a part with a negative length, with which Flux ends")
    return value[start:end]


def _number(text: bytes) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None


def _replace(count: int) -> _Function:
    return lambda value, arguments: _replaced(value, [*arguments, b""], count)


def _replaced(value: bytes, arguments: Sequence[bytes], count: int) -> bytes:
    old, new = (argument.decode(errors="surrogateescape") for argument in arguments[:2])
    # An empty text is found between characters, not between bytes.
    text = value.decode().replace(old, new, count) if not old else None
    return value.replace(arguments[0], arguments[1], count) if text is None else _encoded(text)


def _replace_prefix(value: bytes, arguments: Sequence[bytes]) -> bytes:
    if len(arguments) != 2 or not value.startswith(arguments[0]):
        return value
    return arguments[1] + value[len(arguments[0]) :]


def _replace_suffix(value: bytes, arguments: Sequence[bytes]) -> bytes:
    if len(arguments) != 2 or not value.endswith(arguments[0]):
        return value
    return value[: len(value) - len(arguments[0])] + arguments[1]


def _without_prefix(*, longest: bool) -> _Function:
    def trimmed(value: bytes, arguments: Sequence[bytes]) -> bytes:
        ends = range(len(value), 0, -1)
        found: list[int] = []
        for end in ends:
            try:
                matches = envsubst_pattern.matches(arguments[0], value[:end])
            except ValueError:
                return value
            if matches:
                found.append(end)
                if longest:
                    break
        return value[found[-1] :] if found else value

    return trimmed


def _without_suffix(*, longest: bool) -> _Function:
    of_prefix = _without_prefix(longest=longest)
    return lambda value, arguments: _reversed(
        of_prefix(_reversed(value), [_reversed(argument) for argument in arguments])
    )


def _reversed(text: bytes) -> bytes:
    # Go reads each byte that is part of no character as this one.
    return _runes(text)[::-1].encode()


def _runes(text: bytes) -> str:
    found = text.decode(errors="surrogateescape")
    return "".join("\ufffd" if "\ud800" <= rune <= "\udfff" else rune for rune in found)


def _length(value: bytes, arguments: Sequence[bytes]) -> bytes:
    if arguments:
        return _without_prefix(longest=False)(value, arguments)
    return str(len(value)).encode()


_FUNCTIONS: dict[str, _Function] = {
    ",": _of_first(_lower),
    ",,": _of_all(_lower),
    "^": _of_first(_upper),
    "^^": _of_all(_upper),
    "#": _length,
    "##": _without_prefix(longest=True),
    "%": _without_suffix(longest=False),
    "%%": _without_suffix(longest=True),
    ":": _part,
    "/": _replace(1),
    "//": _replace(-1),
    "/#": _replace_prefix,
    "/%": _replace_suffix,
}
