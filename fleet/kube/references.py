"""The references in kustomizations, checked before kustomize follows them.

kustomize follows every reference, also to the network and to other folders of this machine. So a
reference is also a problem if it is not certain that it stays in the repository.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fleet.errors import CommandError
from fleet.kube import yaml_reader
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.fields import Fields, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES, generated_resources, kustomization_file
from fleet.kube.yaml_reader import size_problem

# kustomize fetches such a reference from the network.
_REMOTE = re.compile(r"(git::)?((ssh|https?|file)://|[a-z][a-z0-9-]*@|gh:|github\.com[/:])", re.I)
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
# Every value that SOPS has encrypted begins with this, whatever the format of its file.
_ENCRYPTED = b"ENC[AES256_GCM,"
# References at these keys name no inputs of generators or patches.
_NO_INPUTS = ("resources", "bases", "components", "crds", "configurations", *_PLUGIN_LISTS)
# kustomize builds what it fetches at these keys.
_FETCHED = ("resources", "bases", "components")
_UNCHECKED = "cannot be checked here"


class ReferenceProblem(NamedTuple):
    """A reference that a build must not follow: the kustomization that has it, and the reason."""

    file: str
    reference: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """A text that names a file or a folder: its source, the key it is at, its base folder."""

    source: str
    key: str
    text: str
    folder: Path

    def problem(self, problem: str) -> ReferenceProblem:
        return ReferenceProblem(self.source, f"{self.key}: {self.text}", problem)

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


def problems(built: ArtifactFolder, components: Iterable[str] = ()) -> Iterator[ReferenceProblem]:
    """Yield the problem of each reference of the build that may leave the repository.

    Flux adds `components` to the kustomization of the folder.
    """
    for found in _walk(built, components):
        if isinstance(found, ReferenceProblem):
            yield found
        else:
            yield from _problems_of(built, found)


def inputs(built: ArtifactFolder, components: Iterable[str] = ()) -> Iterator[Path]:
    """Yield each file and folder of the copy that the build reads, maybe more than once.

    The references of the build must have no problems.
    """
    yield from _files_of(built.folder)
    for found in _walk(built, components):
        if isinstance(found, ReferenceProblem):
            continue
        is_content = _is_content(found)
        if not is_content:
            yield found.target
        if found.key in _PLUGIN_LISTS:
            configuration = found.text if is_content else found.target
            yield from (inner.target for inner in _inner_references(found, configuration))
        elif not is_content and found.target.is_dir():
            yield from _files_of(found.target)


def _files_of(folder: Path) -> list[Path]:
    # kustomize refuses a folder with two kustomizations, so the build reads all of them.
    files = (folder / name for name in KUSTOMIZATION_FILES)
    return [folder, *(file for file in files if file.is_file())]


def kustomizations(built: ArtifactFolder) -> list[Fields]:
    """Return all kustomizations of a build by case-folded key, that of its folder first.

    The references of the build must have no problems.
    """
    targets = (found.target for found in _walk(built, ()) if isinstance(found, _Reference))
    folders = dict.fromkeys([built.folder, *(target for target in targets if target.is_dir())])
    return [_read(folder) for folder in folders]


def encrypted_inputs(
    built: ArtifactFolder, components: Iterable[str] = ()
) -> Iterator[ReferenceProblem]:
    """Yield each file that SOPS has encrypted and that a generator or a patch of the build reads.

    Flux decrypts such files before it builds; an encrypted resource it decrypts afterwards. The
    references of the build must have no problems.
    """
    for found in _walk(built, components):
        if isinstance(found, ReferenceProblem) or found.key in _NO_INPUTS:
            continue
        if found.target.is_file() and _ENCRYPTED in found.target.read_bytes():
            yield found.problem(
                "is encrypted, and only Flux could decrypt it before the build; make it a Secret "
                "that SOPS encrypts, and list it below resources"
            )


def _walk(
    built: ArtifactFolder, components: Iterable[str]
) -> Iterator[_Reference | ReferenceProblem]:
    """Yield every reference of the build, and the problem of a kustomization that has none."""
    todo, seen = [built.folder], set[Path]()
    while todo:
        folder = todo.pop()
        file = kustomization_file(folder)
        if folder in seen or (file is None and folder != built.folder):
            continue
        seen.add(folder)
        source = (file or folder / KUSTOMIZATION_FILES[0]).relative_to(built.copy).as_posix()
        try:
            references = _references(folder, source)
        except CommandError as error:
            yield ReferenceProblem(source, "", f"{_UNCHECKED}: {error}")
            continue
        if folder == built.folder:
            references += [
                _Reference(source=source, key="components", text=text, folder=folder)
                for text in components
            ]
        for reference in references:
            yield reference
            if reference.key not in _PLUGIN_LISTS and _problem(built, reference) is None:
                todo += [reference.target] if reference.target.is_dir() else []


def _problems_of(built: ArtifactFolder, reference: _Reference) -> Iterator[ReferenceProblem]:
    problem = _problem(built, reference)
    if reference.key in _PLUGIN_LISTS:
        yield from _plugin_problems(built, reference, problem)
    elif problem is None:
        is_file = reference.is_yaml and not reference.target.is_dir()
        if is_file and (problem := size_problem(reference.target.read_bytes())):
            yield reference.problem(problem)
    elif reference.is_remote or not _is_content(reference):
        yield reference.problem(problem)


def targets(folder: Path) -> list[Path]:
    """Return the local files and folders that the kustomization of a folder names itself.

    Raises CommandError for a kustomization that programs could read in different ways.
    """
    found = _references(folder, "")
    return [item.target for item in found if not item.is_remote and not _is_content(item)]


def remote_resources(folder: Path) -> list[str]:
    """Return the resources and components of a folder that kustomize takes from the network.

    Raises CommandError for a kustomization that programs could read in different ways.
    """
    found = _references(folder, "")
    return [item.text for item in found if item.key in _FETCHED and item.is_remote]


def _plugin_problems(
    built: ArtifactFolder, reference: _Reference, problem: str | None
) -> Iterator[ReferenceProblem]:
    """Yield the problem of a reference to a plugin's configuration, or of those inside it."""
    if _is_content(reference) and not reference.is_remote:
        yield from _configuration_problems(built, reference, reference.text)
    elif problem is not None:
        yield reference.problem(problem)
    elif reference.may_be_content:
        problem = "may be read as content instead of a file name; rename it"
        yield reference.problem(f"{_UNCHECKED}: {problem}")
    elif reference.target.is_dir():
        yield reference.problem(f"{_UNCHECKED}: is a folder; name the files in it")
    else:
        yield from _configuration_problems(built, reference, reference.target)


def _configuration_problems(
    built: ArtifactFolder, reference: _Reference, configuration: Path | str
) -> Iterator[ReferenceProblem]:
    """Yield the problem of each reference in the configuration of plugins, a file or a text."""
    name = reference.key
    if isinstance(configuration, Path):
        name += f": {configuration.relative_to(built.copy).as_posix()}"
    try:
        documents = _configurations(configuration)
    except ValueError as error:
        yield ReferenceProblem(reference.source, name, f"{_UNCHECKED}: {error}")
        return
    for document in documents:
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind not in _PLUGIN_KINDS:
            refusal = f"kind {kind} is not a built-in plugin of kustomize; remove it"
            yield ReferenceProblem(reference.source, name, f"{_UNCHECKED}: {refusal}")
            continue
        for inner in _references_in(reference, document):
            if problem := _problem(built, inner):
                inside = f"{reference.key}: {inner.key}: {inner.text}"
                yield ReferenceProblem(reference.source, inside, problem)


def _configurations(configuration: Path | str) -> list[Any]:
    """Return the configurations of plugins in a file or a text. Raises ValueError."""
    text = configuration.read_bytes() if isinstance(configuration, Path) else configuration
    found = yaml_reader.documents(text, yaml_reader.Texts)
    return [document for document in found if document is not None]


def _inner_references(reference: _Reference, configuration: Path | str) -> Iterator[_Reference]:
    """Yield the references in configurations of plugins that have no problems."""
    for document in _configurations(configuration):
        yield from _references_in(reference, document)


def _references_in(reference: _Reference, document: Fields) -> Iterator[_Reference]:
    """Yield the references in the configuration of a plugin."""
    lists = [value for key, value in document.items() if str(key).casefold() == "replacements"]
    for part in (document, *(item for found in lists for item in mappings_in(found))):
        for key, file in _named_files(part):
            yield dataclasses.replace(reference, key=key, text=file)


def _is_content(reference: _Reference) -> bool:
    """Tell whether the text is content, because it may be and there is no file of that name."""
    return reference.may_be_content and not os.path.lexists(reference.target)


def _problem(built: ArtifactFolder, reference: _Reference) -> str | None:
    """Return the reason why a build of the repository alone would not find the target."""
    if reference.is_remote:
        return "is remote, and Flux builds from the repository alone; copy it into the repository"
    target, copy = reference.target, built.copy
    if copy != target and copy not in target.parents:
        return "is outside the repository, which Flux refuses; name a file or folder inside it"
    if not os.path.exists(target):  # noqa: PTH110 - accepts any name
        return built.absence(target.relative_to(copy))
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
