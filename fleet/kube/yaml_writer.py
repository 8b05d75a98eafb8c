"""The one writer of YAML."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import yaml

from fleet.kube.manifest import Manifest

# PyYAML writes such a text as it is, on one line, unless it takes it for a number or the like.
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+@=-]*(:[A-Za-z0-9_./+@=-]+)*")
# PyYAML writes a long key in another way.
_LONGEST_KEY = 100
_INDENT = 2


def to_yaml(*manifests: Manifest) -> str:
    """Return manifests as one YAML text, their keys in the order that they have."""
    return "---\n".join("".join(_lines(manifest, 0)) for manifest in manifests)


def _lines(value: Any, column: int) -> list[str]:  # noqa: ANN401 - any field
    """Return the lines of a list or a mapping that begins at a column.

    PyYAML would take most of the time of a large fleet. So it writes only what is not plain.
    """
    kind, start = type(value), " " * column
    lines: list[str] = []
    if kind is dict and value:
        for key, item in value.items():
            if type(key) is not str or len(key) > _LONGEST_KEY or not _is_plain(key):
                lines.append(_written({key: item}, column))
            elif type(item) in _COLLECTIONS and item:
                lines += [f"{start}{key}:\n", *_lines(item, column + _INDENT)]
            elif (text := _plain(item)) is not None:
                lines.append(f"{start}{key}: {text}\n")
            elif type(item) is str:
                lines.append(_text_at(key, item, column))
            else:
                lines.append(_written({key: item}, column))
    elif kind in _COLLECTIONS and value:
        for item in value:
            if type(item) in _COLLECTIONS and item:
                first, *others = _lines(item, column + _INDENT)
                lines += [f"{start}- {first[column + _INDENT :]}", *others]
            elif (text := _plain(item)) is not None:
                lines.append(f"{start}- {text}\n")
            else:
                lines.append(_written([item], column))
    else:
        lines.append(_written(value, column))
    return lines


_COLLECTIONS = (dict, list, tuple)


def _plain(value: object) -> str | None:
    """Return the text of a value that is written as it is, None for any other value."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    return value if type(value) is str and _is_plain(value) else None


@functools.lru_cache(maxsize=10_000)
def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text):
        return False
    resolvers = _Dumper.yaml_implicit_resolvers
    found = [*resolvers.get(text[0], ()), *resolvers.get(None, ())]
    return not any(pattern.match(text) for _, pattern in found)


@functools.lru_cache(maxsize=1_000)
def _text_at(key: str, text: str, column: int) -> str:
    return _written({key: text}, column)


def _written(value: object, column: int) -> str:
    """Return the lines of a value as PyYAML writes them at a column, where it folds long lines."""
    outer = column // _INDENT
    for _ in range(outer):
        value = {"outer": value}
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False)
    return "".join(text.splitlines(keepends=True)[outer:])


def comment(text: str) -> str:
    """Return a line with a comment. Raises ValueError for a text that is more than a line."""
    if not text.isprintable():
        raise ValueError("a comment has characters that could end it")
    return f"# {text}\n"


def untrusted_to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document that a tenant wrote as YAML; its anchors stay anchors.

    A few nested anchors can stand for more text than fits into memory.
    """
    return yaml.safe_dump(dict(document), sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Repeats a shared value instead of writing an anchor, and indents the items of a list."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# YAML 1.2 and some readers of YAML 1.1 take more texts for numbers or booleans than PyYAML does, so
# such texts are written with quotes. A tenant may be called 1e3, and a branch y.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?0[oO][0-7_]+\Z"), list("-+0")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
