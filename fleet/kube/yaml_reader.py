"""YAML that others wrote, read so that no file of theirs can end the program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# More than any manifest needs; libyaml crashes at some ten thousand, Python stops at fewer.
DEPTH = 100
_YAML = "tag:yaml.org,2002:"


class Loader(yaml.CSafeLoader):
    """Reads what Kubernetes reads: there, a bare `=` is a text, and so is a date."""


for _tag in ("value", "timestamp"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda loader, node: str(node.value))


class Texts(yaml.CBaseLoader):
    """Reads lists, mappings, texts and nothing else, so that no other program reads otherwise.

    Numbers, truths and dates are texts; null is None. Refuses what programs differ about: tags,
    merge keys and keys that are there twice.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping that has every key once."""
        found = super().construct_mapping(node, deep=deep)
        if "<<" in found:
            raise _refusal(node, "merge key <<")
        if len(found) < len(node.value):
            raise _refusal(node, "a key is there twice")
        return found


def _refusal(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _refuse(loader: Texts, node: yaml.Node) -> None:
    raise _refusal(node, f"tag {node.tag}")


_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
Texts.add_implicit_resolver(f"{_YAML}null", _NULL, ["~", "n", "N", ""])
Texts.yaml_constructors = {
    f"{_YAML}null": lambda _, node: None,
    f"{_YAML}str": Texts.construct_scalar,
    f"{_YAML}seq": Texts.construct_sequence,
    f"{_YAML}map": Texts.construct_mapping,
    None: _refuse,  # any other tag
}


@dataclass(kw_only=True)
class _Open:
    """A list or mapping that is not over yet."""

    anchor: str | None
    height: int = 1


def documents(
    text: bytes | str, loader: type[yaml.CSafeLoader] | type[Texts] = Loader
) -> list[Any]:
    """Return the documents of a text; raises ValueError, one line, for what cannot be read."""
    try:
        _check_depth(text)
        return list(yaml.load_all(text, Loader=loader))
    except (ArithmeticError, LookupError):
        raise ValueError("a value is not what its tag says") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def _check_depth(text: bytes | str) -> None:
    """Raise ValueError for what is too deep to be read, with all that its aliases stand for."""
    heights: dict[str, int | None] = {}  # None: not over yet
    within: list[_Open] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        height = 0
        if isinstance(event, yaml.CollectionStartEvent):
            within.append(_Open(anchor=event.anchor))
            if event.anchor:
                heights[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            over = within.pop()
            height = over.height
            if over.anchor:
                heights[over.anchor] = height
        elif isinstance(event, yaml.AliasEvent):
            found = heights.get(str(event.anchor), 0)
            if found is None:
                raise ValueError(f"anchor {event.anchor} contains itself")
            height = found
        elif isinstance(event, yaml.ScalarEvent) and event.anchor:
            heights[event.anchor] = 0
        if within:
            within[-1].height = max(within[-1].height, height + 1)
        if len(within) + height > DEPTH:
            raise ValueError(f"is nested more than {DEPTH} deep")


def mappings_in(path: Path) -> list[dict[str, Any]]:
    """Return the mappings in a YAML file; none of one that cannot be read."""
    try:
        found = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=Loader))
    except (OSError, ValueError, yaml.YAMLError):
        # kustomize names it where a cluster uses it.
        return []
    return [document for document in found if isinstance(document, dict)]
