"""The references in a tenant's kustomizations, checked before kustomize follows them.

kustomize follows every reference, also to the network and to other folders of this machine. So a
reference is also a finding if it is not certain that it stays in the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.check.fields import Fields, mappings_in
from fleet.check.findings import Finding
from fleet.check.tenant_clone import ClonedFolder
from fleet.errors import CommandError
from fleet.kube import yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES, generated_resources, kustomization_file
from fleet.kube.yaml_reader import size_problem

# kustomize fetches such a reference from the network.
_REMOTE = re.compile(r"(git::)?((ssh|https?|file)://|[a-z][a-z0-9-]*@|github\.com[/:])", re.I)
# kustomize ignores the case of keys, so all keys here are case-folded. These lists have the names
# of files and folders as their items.
_PLUGIN_LISTS = ("generators", "transformers", "validators")
_LISTS = (
    "resources", "bases", "components", "crds", "configurations", "patchesstrategicmerge",
    "patches",
)  # fmt: skip
# These lists have mappings as their items, which name files with `_FILE_KEYS`. The configurations
# of plugins do the same.
_MAPPING_LISTS = (
    "patches", "patchesjson6902", "replacements", "configmapgenerator", "secretgenerator",
)  # fmt: skip
_FILE_KEYS = ("path", "paths", "files", "envs", "env", "targetfilepath")
# These lists may have the content of a file in place of its name.
_CONTENT_LISTS = (*_PLUGIN_LISTS, "patchesstrategicmerge", "patches")
# A text of these characters only is never a YAML mapping, so it is the name of a file.
_FILE_NAME = re.compile(r"[\w.+/-]+")
# The built-in plugins that name files with `_FILE_KEYS` only. kustomize refuses external plugins.
_PLUGIN_KINDS = (
    "AnnotationsTransformer", "ConfigMapGenerator", "HashTransformer", "IAMPolicyGenerator",
    "ImageTagTransformer", "LabelTransformer", "NamespaceTransformer", "PatchJson6902Transformer",
    "PatchStrategicMergeTransformer", "PatchTransformer", "PrefixSuffixTransformer",
    "PrefixTransformer", "ReplacementTransformer", "ReplicaCountTransformer", "SecretGenerator",
    "SuffixTransformer", "ValueAddTransformer",
)  # fmt: skip
_UNCHECKED = "cannot be checked here"


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """A text that names a file or a folder: its source, the key it is at, its base folder."""

    source: str
    key: str
    text: str
    folder: Path

    @property
    def location(self) -> str:
        return f"{self.source}: {self.key}"

    @property
    def target(self) -> Path:
        path = self.text.rpartition("=")[2] if self.key == "files" else self.text
        return Path(os.path.normpath(self.folder / path))

    @property
    def is_remote(self) -> bool:
        texts = (self.text, self.text.rpartition("=")[2])
        return any(_REMOTE.match(text) for text in texts)

    @property
    def is_yaml(self) -> bool:
        return self.key in _LISTS or self.key == "path"

    @property
    def may_be_content(self) -> bool:
        return self.key in _CONTENT_LISTS and not _FILE_NAME.fullmatch(self.text)


def reference_findings(cloned: ClonedFolder) -> Iterator[Finding]:
    """Yield a finding for each reference of the build that may leave the repository."""
    todo, seen = [cloned.folder], set[Path]()
    while todo:
        folder = todo.pop()
        file = kustomization_file(folder)
        if folder in seen or (file is None and folder != cloned.folder):
            continue
        seen.add(folder)
        source = str((file or folder / KUSTOMIZATION_FILES[0]).relative_to(cloned.copy))
        try:
            references = _references(folder, source)
        except CommandError as error:
            yield cloned.finding(source, f"{_UNCHECKED}: {error}")
            continue
        for reference in references:
            problem = _problem(cloned, reference)
            if reference.key in _PLUGIN_LISTS:
                yield from _plugin_findings(cloned, reference, problem)
            elif problem is None:
                if reference.target.is_dir():
                    todo.append(reference.target)
                elif reference.is_yaml and (problem := size_problem(reference.target.read_bytes())):
                    yield cloned.finding(f"{reference.location}: {reference.text}", problem)
            elif reference.is_remote or not _is_content(reference):
                yield cloned.finding(f"{reference.location}: {reference.text}", problem)


def _plugin_findings(
    cloned: ClonedFolder, reference: _Reference, problem: str | None
) -> Iterator[Finding]:
    """Yield a finding for a reference to a plugin's configuration, or for those inside it."""
    name = f"{reference.location}: {reference.text}"
    if _is_content(reference) and not reference.is_remote:
        yield from _configuration_findings(cloned, reference, reference.text)
    elif problem is not None:
        yield cloned.finding(name, problem)
    elif reference.may_be_content:
        problem = "may be read as content instead of a file name; rename it"
        yield cloned.finding(name, f"{_UNCHECKED}: {problem}")
    elif reference.target.is_dir():
        yield cloned.finding(name, f"{_UNCHECKED}: is a folder; name the files in it")
    else:
        yield from _configuration_findings(cloned, reference, reference.target)


def _configuration_findings(
    cloned: ClonedFolder, reference: _Reference, configuration: Path | str
) -> Iterator[Finding]:
    """Yield a finding for each reference in the configuration of plugins, a file or a text."""
    name = reference.location
    if isinstance(configuration, Path):
        name += f": {configuration.relative_to(cloned.copy).as_posix()}"
    try:
        text = configuration.read_bytes() if isinstance(configuration, Path) else configuration
        documents = yaml_reader.documents(text, yaml_reader.Texts)
    except ValueError as error:
        yield cloned.finding(name, f"{_UNCHECKED}: {error}")
        return
    for document in documents:
        if document is None:
            continue
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind not in _PLUGIN_KINDS:
            refusal = f"kind {kind} is not a built-in plugin of kustomize; remove it"
            yield cloned.finding(name, f"{_UNCHECKED}: {refusal}")
            continue
        lists = [v for key, v in document.items() if str(key).casefold() == "replacements"]
        for part in (document, *(item for found in lists for item in mappings_in(found))):
            for key, file in _named_files(part):
                inner = _Reference(
                    source=reference.location, key=key, text=file, folder=reference.folder
                )
                if problem := _problem(cloned, inner):
                    yield cloned.finding(f"{inner.location}: {file}", problem)


def _is_content(reference: _Reference) -> bool:
    """Tell whether the text is content, because it may be and there is no file of that name."""
    return reference.may_be_content and not os.path.lexists(reference.target)


def _problem(cloned: ClonedFolder, reference: _Reference) -> str | None:
    """Return the reason why a build of the repository alone would not find the target."""
    if reference.is_remote:
        return "is remote, and Flux builds from the repository alone; copy it into the repository"
    target, copy = reference.target, cloned.copy
    if copy != target and copy not in target.parents:
        return "is outside the repository, which Flux refuses; name a file or folder inside it"
    if not os.path.exists(target):  # noqa: PTH110 - accepts any name
        return cloned.absence(target.relative_to(copy))
    return None


def _references(folder: Path, source: str) -> list[_Reference]:
    """Return all references of the kustomization of a folder.

    Raises CommandError for a kustomization that programs could read in different ways.
    """
    content = _read(folder)
    found = [(key, text) for key in (*_LISTS, *_PLUGIN_LISTS) for text in _texts(content.get(key))]
    parts = [item for key in _MAPPING_LISTS for item in mappings_in(content.get(key))]
    for part in (content.get("openapi"), *parts):
        found += _named_files(part)
    return [_Reference(source=source, key=key, text=text, folder=folder) for key, text in found]


def _read(folder: Path) -> Fields:
    """Return the kustomization of a folder by case-folded key; Flux generates one if needed."""
    file = kustomization_file(folder)
    if file is None:
        return {"resources": list(generated_resources(folder))}
    content: dict[str, Any] = {}
    for key, value in read_kustomization(file, yaml_reader.Texts).items():
        if key.casefold() in content:
            raise CommandError(f"key {key} is set twice, in different cases; keep one")
        content[key.casefold()] = value
    return content


def read_kustomization(
    file: Path, loader: type[yaml_reader.Loader] | type[yaml_reader.Texts]
) -> dict[str, Any]:
    """Return the content of a kustomization; raises CommandError if it is not one mapping."""
    try:
        documents = yaml_reader.documents(file.read_bytes(), loader)
    except ValueError as error:
        raise CommandError(f"{file.name}: {error}") from None
    if len(documents) > 1 or not all(isinstance(content or {}, dict) for content in documents):
        raise CommandError(f"{file.name} is not one mapping; make it one")
    content = documents[0] or {} if documents else {}
    return {str(key): value for key, value in content.items()}


def _named_files(part: object) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of each file that a mapping names."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if str(key).casefold() in _FILE_KEYS:
            yield from ((str(key).casefold(), text) for text in _texts(value))


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
