"""The one reader of YAML files: no file, whoever wrote it, can end the program with a traceback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# No manifest needs more. libyaml crashes at some ten thousand levels, Python stops at fewer.
DEPTH = 100
# Limits of one text, so that it takes seconds and some hundred MiB to read. The definitions of all
# kinds of a large operator have some 300,000 values. kustomize takes minutes for more documents.
BYTES = 32 * 2**20
DOCUMENTS = 2000
VALUES = 1_000_000
# Every list and every mapping needs one of these characters.
_OPENING = ("-", "?", ":", "[", "{")
_ALIAS = "*"
_YAML = "tag:yaml.org,2002:"
_WRONG_TAG = "a value is not what its tag says"


class Loader(yaml.CSafeLoader):
    """Reads YAML as Kubernetes does: a bare `=` and a date are texts."""


for _tag in ("value", "timestamp"):
    Loader.add_constructor(f"{_YAML}{_tag}", lambda loader, node: str(node.value))


class Texts(yaml.CBaseLoader):
    """Reads only lists, mappings, texts and null, so that every program reads the same.

    Numbers, booleans and dates are texts. Tags, merge keys and duplicate keys are refused, because
    programs differ about them.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; raises YAMLError for a merge key or a duplicate key."""
        found = super().construct_mapping(node, deep=deep)
        if "<<" in found:
            raise _refusal(node, "merge key <<")
        if len(found) < len(node.value):
            raise _refusal(node, "a key is there twice")
        return found


def _refusal(node: yaml.Node, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _refuse_tag(loader: Texts, node: yaml.Node) -> None:
    raise _refusal(node, f"tag {node.tag}")


_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
Texts.add_implicit_resolver(f"{_YAML}null", _NULL, ["~", "n", "N", ""])
Texts.yaml_constructors = {
    f"{_YAML}null": lambda _, node: None,
    f"{_YAML}str": Texts.construct_scalar,
    f"{_YAML}seq": Texts.construct_sequence,
    f"{_YAML}map": Texts.construct_mapping,
    None: _refuse_tag,  # None stands for every other tag.
}


class _DuplicateKeyError(yaml.MarkedYAMLError):
    """A mapping has a key twice."""


class _UniqueKeys(yaml.CSafeLoader):
    """Refuses a duplicate key, of which YAML would silently keep the last value.

    A date is a text. Every other value must be one that JSON has, as it is for Pulumi.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if key.value in seen:
                raise _DuplicateKeyError(
                    problem=f"key {key.value[:100]!r} is there twice; keep one",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - any
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, LookupError, ValueError):
            raise _refusal(node, _WRONG_TAG) from None


def _refuse_other_tag(loader: _UniqueKeys, node: yaml.Node) -> None:
    raise _refusal(node, "a value is no text, number, boolean, list or mapping")


_JSON_TAGS = ("null", "bool", "int", "float", "str", "seq", "map")
_UniqueKeys.yaml_constructors = {
    **{f"{_YAML}{tag}": Loader.yaml_constructors[f"{_YAML}{tag}"] for tag in _JSON_TAGS},
    **{f"{_YAML}{tag}": Loader.construct_scalar for tag in ("value", "timestamp")},
    None: _refuse_other_tag,
}


def documents(
    text: bytes | str, loader: type[yaml.CSafeLoader] | type[Texts] = Loader
) -> list[Any]:
    """Return the documents of a text; raises ValueError, one line, for what cannot be read."""
    try:
        check_size(text)
        return list(yaml.load_all(text, Loader=loader))
    except (ArithmeticError, LookupError):
        raise ValueError(_WRONG_TAG) from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def document_with_unique_keys(text: str) -> object:
    """Return the one document of a text; raises ValueError, which names the line and an action."""
    try:
        check_size(text)
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "has characters that YAML does not allow"
        if not isinstance(error, _DuplicateKeyError):
            problem = f"is not YAML: {problem}; correct it there or just before"
        raise ValueError(f"{line}{problem}") from None


def mappings_in(path: Path) -> list[dict[str, Any]]:
    """Return the mappings in a YAML file, none if the file cannot be read."""
    try:
        found = documents(path.read_bytes())
    except (OSError, ValueError):
        # kustomize reports the file in every cluster that uses it.
        return []
    return [document for document in found if isinstance(document, dict)]


@dataclass(frozen=True, kw_only=True)
class _Extent:
    """The levels below a value, and the number of values that it has with itself."""

    height: int = 0
    values: int = 1


@dataclass(kw_only=True)
class _OpenCollection:
    """A list or mapping whose end is not read yet; `first` is the number of values before it."""

    anchor: str | None
    first: int
    height: int = 1


class _Size:
    """The size of a text so far, with its aliases written out."""

    def __init__(self) -> None:
        self.documents = 0
        self.values = 0
        self.depth = 0
        self._within: list[_OpenCollection] = []
        # None stands for an anchor whose end is not read yet.
        self._extents: dict[str, _Extent | None] = {}

    def add(self, event: yaml.Event) -> None:
        """Count one more event; raises ValueError for an anchor that contains itself."""
        height = 0
        # Most events are scalars, and have no anchor.
        if isinstance(event, yaml.ScalarEvent):
            self.values += 1
            if event.anchor:
                self._extents[event.anchor] = _Extent()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            self._within.append(_OpenCollection(anchor=event.anchor, first=self.values))
            self.values += 1
            if event.anchor:
                self._extents[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._within.pop()
            height = ended.height
            if ended.anchor:
                values = self.values - ended.first
                self._extents[ended.anchor] = _Extent(height=height, values=values)
        elif isinstance(event, yaml.AliasEvent):
            found = self._extents.get(str(event.anchor), _Extent())
            if found is None:
                raise ValueError(f"anchor {event.anchor} contains itself")
            height = found.height
            self.values += found.values
        if self._within:
            outer = self._within[-1]
            outer.height = max(outer.height, height + 1)
        self.depth = len(self._within) + height


def size_problem(text: bytes) -> str | None:
    """Return the reason why a text takes too much to read, None for one that is not YAML."""
    try:
        check_size(text)
    except ValueError as error:
        return str(error)
    except yaml.YAMLError:
        return None
    return None


def check_size(text: bytes | str) -> None:
    """Raise ValueError for a text that takes too much to read, with its aliases written out.

    May raise YAMLError for a text that is not YAML.
    """
    if len(text) > BYTES:
        raise ValueError(f"is larger than {BYTES // 2**20} MiB; split it")
    if _is_small(text):
        return
    size = _Size()
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        size.add(event)
        if size.depth > DEPTH:
            raise ValueError(f"is nested more than {DEPTH} deep")
        if size.documents > DOCUMENTS:
            raise ValueError(f"has more than {DOCUMENTS} documents; use fewer")
        if size.values > VALUES:
            raise ValueError(f"has more than {VALUES} values, with its aliases; use fewer")


def _is_small(text: bytes | str) -> bool:
    """Tell whether a text has so few characters of some kinds that its size need not be counted."""
    if len(text) > DOCUMENTS or _count(text, _ALIAS):
        return False
    return sum(_count(text, character) for character in _OPENING) <= DEPTH


def _count(text: bytes | str, character: str) -> int:
    return text.count(character.encode()) if isinstance(text, bytes) else text.count(character)
