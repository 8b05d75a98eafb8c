"""The lines of a YAML file on which its values are."""

from __future__ import annotations

from collections.abc import Sequence

import yaml


def line_of(text: str, path: Sequence[str | int], document: int = 0) -> int | None:
    """Return the line, from 1, of the value at a path of keys and positions; None without one.

    A key stands for itself: its line is that of the key and not of the value below it.
    """
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return None
    node = nodes[document] if document < len(nodes) else None
    line = node.start_mark.line + 1 if node else None
    for step in path:
        found = _child(node, step)
        if found is None:
            return None
        mark, node = found
        line = mark.line + 1
    return line


def document_lines(text: str) -> list[int]:
    """Return the line, from 1, on which each document begins; none if the text is no YAML."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return []
    return [node.start_mark.line + 1 for node in nodes]


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        value = node.value[step]
        return value.start_mark, value
    return None
