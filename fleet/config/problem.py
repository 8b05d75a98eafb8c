"""The one form of a problem, and what a problem may repeat from a stack file."""

from __future__ import annotations

import re

_LONGEST = 120
_HIGHEST = 10**18
# A URL has these characters, and its token may be anywhere in it.
_OF_URLS = frozenset(":@?=%")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?|[a-z]+:[A-Za-z]+")
_NAME = re.compile(r"[a-z0-9-]+")


def problem(file: str, key: str, text: str) -> str:
    """Return the line of a problem; `text` names the conflict, then one action."""
    return f"{file}: {key}: {text}"


def shown(value: object) -> str:
    """Return a value as a problem repeats it, and `it` for one in which a secret could be."""
    if isinstance(value, str):
        plain = len(value) <= _LONGEST and not _OF_URLS & set(value)
    else:
        plain = value is None or _is_number(value)
    return repr(value) if plain else "it"


def shown_key(key: object, *, of_secrets: bool = False) -> str:
    """Return a key as a problem repeats it, and `***` for one that is no plain name.

    A key `of_secrets` is beside secrets, and could be one by mistake.
    """
    if isinstance(key, str):
        form = _NAME if of_secrets else _KEY
        return key if len(key) <= _LONGEST and form.fullmatch(key) else "***"
    return str(key) if key is None or _is_number(key) else "***"


def _is_number(value: object) -> bool:
    # Python refuses to write an integer of some thousand digits.
    return isinstance(value, (int, float)) and abs(value) < _HIGHEST
