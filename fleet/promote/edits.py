"""Edits of one list in a YAML file that keep all other lines of the file as they are."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fleet.errors import FleetError
from fleet.kube import yaml_lists, yaml_reader
from fleet.kube.yaml_lists import Extent, ListPlace
from fleet.kube.yaml_writer import comment

_DASH = re.compile(r"[ \t]*-[ \t]+\Z")
_COMMENT = re.compile(r"[ \t]*#")


@dataclass(frozen=True, kw_only=True)
class ListEdit:
    """A list of paths at a key of a file. An item is a path, or a mapping that has one.

    Each method returns the new text of the file. Raises FleetError if an edit of these lines
    would not mean what was asked for.
    """

    file: str
    text: str
    keys: Sequence[str]

    @cached_property
    def _data(self) -> Any:  # noqa: ANN401 - a document of any shape
        try:
            return yaml_reader.document_with_unique_keys(self.text)
        except ValueError as error:
            raise FleetError(f"{self.file}: {error}") from None

    @cached_property
    def _items(self) -> list[Any]:
        value = self._data
        for key in self.keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, list) else []

    @cached_property
    def paths(self) -> list[str]:
        """The paths that the list has, in order."""
        return [str(item["path"] if _has_path(item) else item) for item in self._items]

    def with_item(self, path: str, reason: str = "") -> str:
        """Return the text with one more item at the end; a reason is a comment above it."""
        found = self._place()
        scalar = _scalar(path)
        wanted = [*self._items, path]
        if found.value and found.value.is_flow and not reason:
            return self._checked(_added_to_flow(self.text, found.value, scalar), wanted)
        if found.value and found.value.items and not found.value.is_flow:
            last = found.value.items[-1]
            indent = self._indent(last)
            at = _line_end(self.text, last.end)
        else:
            indent = " " * (found.column + 2)
            at = _line_end(self.text, found.key.end if found.key else found.end)
        lines = [f"{indent}{comment(reason).rstrip()}"] if reason else []
        lines.append(f"{indent}- {scalar}")
        if found.key is None:
            lines.insert(0, f"{' ' * found.column}{self.keys[-1]}:")
        text = self.text
        if found.value and found.value.is_flow:
            # A comment stands above an item of its own line only.
            text, at = self._as_block(found.value, indent)
        return self._checked(self._inserted(text, at, lines), wanted)

    def without_item(self, path: str) -> str:
        """Return the text without an item, and without the comment that stands above it."""
        index = self._index(path)
        found = self._list()
        wanted = [item for number, item in enumerate(self._items) if number != index]
        if found.is_flow:
            return self._checked(_removed_from_flow(self.text, found, index), wanted)
        item = found.items[index]
        self._indent(item)
        start = self._comment_start(_line_start(self.text, item.start))
        end = _line_end(self.text, item.end)
        text = self.text[:start] + self.text[_next_line(self.text, end) :]
        if end == len(self.text):
            # The file has no final newline, and still has none.
            text = text.rstrip("\r\n")
        if not wanted:
            key = self._place().key
            colon = self.text.index(":", key.end if key else 0) + 1
            text = f"{text[:colon]} []{text[colon:]}"
        return self._checked(text, wanted)

    def with_other(self, path: str, new: str) -> str:
        """Return the text with another path in the place of one; the rest of the item stays."""
        index = self._index(path)
        item: Extent | None = self._list().items[index]
        wanted = copy.deepcopy(self._items)
        if _has_path(wanted[index]):
            item = yaml_lists.value_of(self.text, self._list().items[index], "path")
            wanted[index]["path"] = new
        else:
            wanted[index] = new
        if item is None:
            raise self._refusal()
        text = self.text[: item.start] + _scalar(new) + self.text[item.end :]
        return self._checked(text, wanted)

    def _place(self) -> yaml_lists.Place:
        found = yaml_lists.place(self.text, self.keys) if self._data is not None else None
        if found is None:
            raise self._refusal()
        return found

    def _list(self) -> ListPlace:
        found = self._place().value
        if found is None or len(found.items) != len(self._items):
            raise self._refusal()
        return found

    def _index(self, path: str) -> int:
        if path not in self.paths:
            raise FleetError(f"{self.file}: {self.keys[-1]} has no {path}; add it there first")
        return self.paths.index(path)

    def _indent(self, item: Extent) -> str:
        """Return the blanks before the dash of an item, which must begin its line."""
        before = self.text[_line_start(self.text, item.start) : item.start]
        if not _DASH.match(before):
            raise self._refusal()
        return before[: before.index("-")]

    def _comment_start(self, start: int) -> int:
        """Return the start of the comment lines that stand directly above a line."""
        while start and _COMMENT.match(self.text, _line_start(self.text, start - 1)):
            start = _line_start(self.text, start - 1)
        return start

    def _as_block(self, found: ListPlace, indent: str) -> tuple[str, int]:
        """Return the text with a flow list as lines, and the place after the last one."""
        items = [f"{indent}- {self.text[item.start : item.end]}" for item in found.items]
        key = self.text[: found.extent.start].rstrip(" ")
        text = key + self.text[found.extent.end :]
        end = _line_end(text, len(key))
        block = "".join(f"{self._newline}{item}" for item in items)
        return text[:end] + block + text[end:], end + len(block)

    def _inserted(self, text: str, at: int, lines: Sequence[str]) -> str:
        """Return a text with lines after the line that ends at a place."""
        added = "".join(f"{self._newline}{line}" for line in lines)
        return text[:at] + added + text[at:]

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def _checked(self, text: str, items: Sequence[Any]) -> str:
        """Return an edited text if it means what it should, and nothing else has changed."""
        wanted = copy.deepcopy(self._data)
        holder = wanted
        for key in self.keys[:-1]:
            holder = holder[key]
        holder[self.keys[-1]] = list(items)
        try:
            is_right = yaml_reader.document_with_unique_keys(text) == wanted
        except ValueError:
            is_right = False
        if not is_right:
            raise self._refusal()
        return text

    def _refusal(self) -> FleetError:
        key = self.keys[-1]
        return FleetError(
            f"{self.file}: {key} is written so that no line of it can be edited alone; write it as "
            "a list, one item a line"
        )


def _has_path(item: object) -> bool:
    return isinstance(item, dict) and "path" in item


def _scalar(path: str) -> str:
    """Return a path as YAML, with quotes only if it needs them."""
    try:
        is_plain = yaml_reader.document_with_unique_keys(path) == path
    except ValueError:
        is_plain = False
    return path if is_plain else json.dumps(path)


def _added_to_flow(text: str, found: ListPlace, scalar: str) -> str:
    if not found.items:
        return f"{text[: found.extent.start]}[{scalar}]{text[found.extent.end :]}"
    last = found.items[-1]
    before = text[_line_start(text, last.start) : last.start]
    between = f"{_newline_before(text, last.start)}{before}" if not before.strip() else " "
    return f"{text[: last.end]},{between}{scalar}{text[last.end :]}"


def _removed_from_flow(text: str, found: ListPlace, index: int) -> str:
    items = found.items
    if len(items) == 1:
        return f"{text[: found.extent.start]}[]{text[found.extent.end :]}"
    if index + 1 < len(items):
        return text[: items[index].start] + text[items[index + 1].start :]
    return text[: items[index - 1].end] + text[items[index].end :]


def _newline_before(text: str, position: int) -> str:
    return "\r\n" if text[: _line_start(text, position)].endswith("\r\n") else "\n"


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    """Return the end of a line, before the characters that end it."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if text[:end].endswith("\r") else end


def _next_line(text: str, end: int) -> int:
    """Return the start of the line after one that ends at a position."""
    newline = text.find("\n", end)
    return len(text) if newline < 0 else newline + 1
