"""The places of lists and their items in the text of a YAML file, for edits that keep the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A part of a text: the positions of its first character and of the one after its last."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class ListPlace:
    """A list in a text, with its items; a flow list is written in brackets."""

    extent: Extent
    is_flow: bool
    items: tuple[Extent, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a key: its extent, its list, and the end of the mapping that holds it.

    Without the key, `key` is None. Without a list as its value, `value` is None.
    """

    key: Extent | None
    value: ListPlace | None
    column: int
    end: int


def place(text: str, keys: Sequence[str]) -> Place | None:
    """Return the place of a key path of the first document; None if its parents are missing."""
    try:
        # libyaml counts some characters otherwise, and these texts are short.
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    *parents, last = keys
    for name in parents:
        node = _value(node, name)
    if not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
        return None
    column = node.value[0][0].start_mark.column
    end = _end(text, node)
    for key, value in node.value:
        if key.value == last:
            return Place(
                key=_extent(text, key), value=_list_place(text, value), column=column, end=end
            )
    return Place(key=None, value=None, column=column, end=end)


def value_of(text: str, item: Extent, name: str) -> Extent | None:
    """Return the place of the value of a key in an item that is a mapping; None without one."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    found = _at(node, item.start)
    value = _value(found, name)
    return _extent(text, value) if value is not None else None


def _at(node: yaml.Node | None, start: int) -> yaml.Node | None:
    """Return the innermost mapping that begins at a position."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return None
    children = node.value
    if isinstance(node, yaml.MappingNode):
        if node.start_mark.index == start:
            return node
        children = [value for _, value in node.value]
    return next((found for child in children if (found := _at(child, start))), None)


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _list_place(text: str, node: yaml.Node) -> ListPlace | None:
    if not isinstance(node, yaml.SequenceNode):
        return None
    return ListPlace(
        extent=_extent(text, node),
        is_flow=bool(node.flow_style),
        items=tuple(_extent(text, item) for item in node.value),
    )


def _extent(text: str, node: yaml.Node) -> Extent:
    return Extent(start=node.start_mark.index, end=_end(text, node))


def _end(text: str, node: yaml.Node) -> int:
    """Return the end of a value. A block's own mark is behind the comments that follow it."""
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    if not is_block or not node.value:
        return len(text[: node.end_mark.index].rstrip())
    last = node.value[-1]
    inner = last[1] if isinstance(node, yaml.MappingNode) else last
    # A missing value, such as that of `key:`, has the mark of what follows.
    if isinstance(inner, yaml.ScalarNode) and not inner.value and not inner.style:
        return _end(text, last[0]) + 1 if isinstance(node, yaml.MappingNode) else _end_of(inner)
    return _end(text, inner)


def _end_of(node: yaml.Node) -> int:
    index: int = node.start_mark.index
    return index
