"""The files of a rendered cluster: what kustomize makes of each entry.

An entry is one file, which its stage's list names in place of the entry's folder. Everything here
depends on the built objects alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import ConfigError
from fleet.kube.fields import Fields
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.kube.yaml_writer import comment, to_yaml
from fleet.render import layout

# GitHub's contents API returns no content of a file over 1 MB, so the provider could not read it.
MAX_BYTES = 900_000
_SEPARATOR = "---\n"
_BUILT_FROM = "Built by kustomize from "
# Names of more characters may be too long for a file beside the other parts of its name.
_MAX_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Document:
    """One object that kustomize built: its text, byte for byte, and its content."""

    text: str
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The definitions of one cluster as files.

    `files` maps a path below clusters/<stack> to its text. `resources` maps a definition's folder
    to the files that its stage's list names, relative to the list.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Sequence[str]] = field(default_factory=dict)


# A referenced cluster has no such files.
NOTHING = Rendered()


def documents(text: str, manifests: Sequence[Manifest]) -> tuple[Document, ...]:
    """Return the documents of a text that kustomize built, of which `manifests` is the content."""
    # All of an object is indented or a key, so a line of three dashes is never part of one.
    texts = [part for part in f"\n{text}".split(f"\n{_SEPARATOR}") if part.strip()]
    return tuple(
        Document(text=part.strip("\n") + "\n", manifest=manifest)
        for part, manifest in zip(texts, manifests, strict=True)
    )


def entry_files(name: str, source: str, built: Sequence[Document]) -> dict[str, str]:
    """Return the files of a definition by name: `name`.yaml, or one for each of many objects.

    A file for each object keeps its name when other objects change. So no object is ever moved from
    one file to another, which Flux could see half done.
    """
    head = comment(f"{_BUILT_FROM}{source}: change the definition there.")
    whole = head + _SEPARATOR.join(document.text for document in built)
    if not built:
        return {}
    if _size(whole) <= MAX_BYTES:
        return {f"{name}.yaml": whole}
    files: dict[str, str] = {}
    for document in built:
        file = f"{name}/{_object_name(document.manifest)}.yaml"
        text = head + document.text
        if file in files or _size(text) > MAX_BYTES:
            problem = (
                "is there twice" if file in files else f"is larger than {MAX_BYTES // 1000} kB"
            )
            raise ConfigError(
                [
                    f"{source}: {object_id(document.manifest)}: {problem}, so it cannot be "
                    "rendered; remove it, or set fleet:definitions: referenced"
                ]
            )
        files[file] = text
    return files


def source_of(text: str) -> str | None:
    """Return the definition that a rendered file is made from, None for any other file."""
    found = re.search(rf"^# {_BUILT_FROM}(\S+): ", text, re.MULTILINE)
    return found and found[1]


def _size(text: str) -> int:
    return len(text.encode())


def _object_name(manifest: Manifest) -> str:
    """Return the name of the file of an object, which no other object has."""
    found = object_id(manifest)
    kind = f"{found.kind}.{found.group}" if found.group else found.kind
    parts = [kind.lower(), *([found.namespace] if found.namespace else []), found.name]
    return "_".join(_file_name(part) for part in parts)


def _file_name(name: str) -> str:
    """Return a text that may be part of a file's name; names of RBAC have odd characters."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", name)[:_MAX_NAME]
    if plain == name:
        return name
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def nested_folder(parent: str, manifest: Manifest) -> str:
    """Return the folder, below `parent`, of what a Flux Kustomization of this repository builds."""
    found = object_id(manifest)
    return f"{parent}/{layout.NESTED}/{_file_name(found.namespace)}/{_file_name(found.name)}"


def with_path(manifest: Manifest, path: str) -> Manifest:
    """Return a Flux Kustomization that applies the rendered files at `path` instead.

    Its components are part of these files.
    """
    spec = spec_without_components(manifest["spec"])
    return {**manifest, "spec": {**spec, "path": f"./{path}"}}


def spec_without_components(spec: Fields) -> dict[str, Any]:
    """Return the spec of a Flux Kustomization without its components."""
    left_out = ("components", "ignoreMissingComponents")
    return {key: value for key, value in spec.items() if key not in left_out}


def document_of(manifest: Manifest) -> Document:
    """Return the document of an object that is not as kustomize built it."""
    return Document(text=to_yaml(manifest), manifest=manifest)


def refuse_collisions(file: str, paths: Iterable[str]) -> None:
    """Raise ConfigError if two files of a tree need one name, as a file and as a folder or twice.

    `file` is the stack file, whose entries have such names.
    """
    seen: set[str] = set()
    for path in sorted(paths):
        parts = path.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        if taken := sorted(above & seen):
            raise ConfigError(
                [f"{file}: two entries would be rendered to {taken[0]}; rename one of the folders"]
            )
        seen.add(path)


def differences(expected: Sequence[Manifest], found: Sequence[Manifest]) -> list[Difference]:
    """Return the first difference of each object between two builds, of which none should be."""
    ours = {_version_and_id(manifest): manifest for manifest in found}
    theirs = {_version_and_id(manifest): manifest for manifest in expected}
    return [
        Difference(name=name[1], path=path, expected=wanted, found=value)
        for name in [*theirs, *(name for name in ours if name not in theirs)]
        if (pair := (theirs.get(name), ours.get(name)))[0] != pair[1]
        for path, wanted, value in [_first_difference("", *pair)]
    ]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field of an object that two builds do not agree about; None stands for no value."""

    name: ObjectId
    path: str
    expected: object
    found: object


def _version_and_id(manifest: Manifest) -> tuple[str, ObjectId]:
    return str(manifest.get("apiVersion")), object_id(manifest)


def _first_difference(path: str, expected: Any, found: Any) -> tuple[str, object, object]:  # noqa: ANN401 - any field
    """Return the path of the first field that differs, and its two values."""
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [*expected, *(key for key in found if key not in expected)]
        pairs = [(f"{path}.{key}", expected.get(key), found.get(key)) for key in keys]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        values = zip(expected, found, strict=True)
        pairs = [(f"{path}[{index}]", *pair) for index, pair in enumerate(values)]
    for inner, wanted, value in pairs:
        if wanted != value:
            return _first_difference(inner, wanted, value)
    return path.lstrip("."), expected, found
