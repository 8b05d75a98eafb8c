"""The items of a kustomization with their lines, in the order in which kustomize applies them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fleet.kube import flux_build, yaml_lines
from fleet.kube.fields import mapping_at
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization_file

# kustomize puts resources together and generates objects, then it runs components, and then what
# these keys say, in this order.
_CHANGING_KEYS = (
    "patchesstrategicmerge", "patches", "namespace", "nameprefix", "namesuffix", "labels",
    "commonlabels", "commonannotations", "patchesjson6902", "replicas", "images", "imagetags",
    "replacements", "transformers",
)  # fmt: skip
_COMPONENTS = "components"
_STEPS = (_COMPONENTS, *_CHANGING_KEYS)
_RESOURCES = ("resources", "bases")
_GENERATORS = ("configmapgenerator", "secretgenerator")
# A text of these characters only is never the content of a patch.
_FILE_NAME = re.compile(r"[\w.+/-]+")
# Values at these keys are shown. Others could hold what nobody should see.
_SHOWN = ("namespace", "nameprefix", "namesuffix")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A key of a kustomization, or one item of its list, by the key as the file has it."""

    key: str
    index: int | None
    value: Any = field(compare=False)

    @property
    def is_component(self) -> bool:
        """Tell whether the item names a component."""
        return self.key.casefold() == _COMPONENTS

    @property
    def file(self) -> str | None:
        """The file or the folder that the item names, if it may name one."""
        found = self.value.get("path") if isinstance(self.value, dict) else self.value
        is_name = isinstance(found, str) and _FILE_NAME.fullmatch(found)
        return found if is_name and self.key.casefold() not in _SHOWN else None

    @property
    def text(self) -> str:
        """The item for a person, without values that could be secret."""
        is_text = isinstance(self.value, str)
        if is_text and (self.key.casefold() in _SHOWN or self.file):
            return f"{self.key}: {self.value}"
        return f"{self.key}: {name}" if (name := _name(self.value)) else self.key


def _name(value: object) -> str:
    """Return what an item of a list is about: its target or its name."""
    content = value if isinstance(value, dict) else {}
    target = mapping_at(content, "target")
    words = [str(target[key]) for key in ("kind", "name") if target.get(key)]
    return " ".join(words) or str(content.get("name") or "")


@dataclass(frozen=True, kw_only=True)
class Kustomization:
    """A kustomization of the repository; `file` may be missing, and Flux lists all files then."""

    folder: str
    file: str
    text: str
    content: Mapping[str, Any]

    def line(self, item: Item) -> int | None:
        """Return the line of an item."""
        return yaml_lines.line_of(self.text, _path(item)) if self.text else None

    @cached_property
    def steps(self) -> list[Item]:
        """All items that change objects, in the order in which kustomize applies them."""
        return list(self._items(_STEPS))

    @property
    def resources(self) -> Iterator[Item]:
        """The files and folders that it lists."""
        return self._items(_RESOURCES)

    @property
    def generators(self) -> Iterator[Item]:
        """The ConfigMaps and Secrets that it generates."""
        return self._items(_GENERATORS)

    def _items(self, keys: Collection[str]) -> Iterator[Item]:
        by_key = {key.casefold(): key for key in self.content}
        for key in [by_key[folded] for folded in keys if folded in by_key]:
            value = self.content[key]
            if isinstance(value, list):
                yield from (
                    Item(key=key, index=index, value=item) for index, item in enumerate(value)
                )
            elif value is not None:
                yield Item(key=key, index=None, value=value)

    def content_with(self, kept: Collection[Item]) -> dict[str, Any]:
        """Return the content with only these of its steps."""
        found = {key: value for key, value in self.content.items() if key.casefold() not in _STEPS}
        for item in self.steps:
            if item not in kept:
                continue
            if item.index is None:
                found[item.key] = item.value
            else:
                found.setdefault(item.key, []).append(item.value)
        return found


def _path(item: Item) -> tuple[str | int, ...]:
    return (item.key,) if item.index is None else (item.key, item.index)


def read(copy: Path, folder: str) -> Kustomization:
    """Return the kustomization of a folder of a copy. Raises CommandError."""
    path = copy / folder
    file = kustomization_file(path)
    content = flux_build.kustomization(path)
    # It is asked for all origins of objects, and Flux's own default would only get in the way.
    content.pop("buildMetadata", None)
    found = file or path / KUSTOMIZATION_FILES[0]
    return Kustomization(
        folder=folder,
        file=found.relative_to(copy).as_posix() if file else folder,
        text=file.read_text("utf-8", "replace") if file else "",
        content=content,
    )
