"""What Flux makes of one folder of a team's repository, built from a clone, without a network.

Built is what the clone holds now, committed or not, in a copy without what Flux does not fetch. A
`.sourceignore` is not looked at.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.check.findings import Built
from fleet.check.pods import items
from fleet.errors import CommandError, FleetError
from fleet.kube import kustomize, yaml_reader, yaml_writer
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization, manifests
from fleet.kube.yaml_reader import Loader

# What Flux fetches of no repository, as far as a build can depend on it.
_NOT_FETCHED = (
    ".git", ".gitignore", ".gitmodules", ".gitattributes", ".github", ".circleci", ".travis.yml",
    ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-services.yml",
    "codeship-steps.yml", ".goreleaser.yml", ".goreleaser.brew.yml", ".sops.yaml", ".flux.yaml",
    "*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip",
)  # fmt: skip
# What kustomize would ask the network for.
_REMOTE = re.compile(r"(git::)?((ssh|https?|file)://|[a-z][a-z0-9-]*@|github\.com[/:])", re.I)
# Where a kustomization names files and folders, folded, as kustomize takes any case: in lists,
# and in mappings below other keys or in a plugin's own configuration, as what `_HELD` has.
_PLUGINS = ("generators", "transformers", "validators")
_LISTS = (
    "resources", "bases", "components", "crds", "configurations", "patchesstrategicmerge",
    "patches",
)  # fmt: skip
_HOLDERS = ("patches", "patchesjson6902", "replacements", "configmapgenerator", "secretgenerator")
_HELD = ("path", "paths", "files", "envs", "env", "targetfilepath")
_INLINE = (*_PLUGINS, "patchesstrategicmerge", "patches")  # or the content itself
_NO_CONTENT = re.compile(r"[\w.+/-]+")  # not enough for a mapping
# kustomize's own plugins with no other keys for files. It refuses any from elsewhere.
_KINDS = (
    "AnnotationsTransformer", "ConfigMapGenerator", "HashTransformer", "IAMPolicyGenerator",
    "ImageTagTransformer", "LabelTransformer", "NamespaceTransformer", "PatchJson6902Transformer",
    "PatchStrategicMergeTransformer", "PatchTransformer", "PrefixSuffixTransformer",
    "PrefixTransformer", "ReplacementTransformer", "ReplicaCountTransformer", "SecretGenerator",
    "SuffixTransformer", "ValueAddTransformer",
)  # fmt: skip
_CANONICAL = {key.casefold(): key for key in ("namespace", "resources", "buildMetadata")}
_IS_REMOTE = "is remote, and Flux takes nothing from elsewhere; copy it into the repository"
_UNCHECKED = "cannot be checked here"


@dataclass(frozen=True, kw_only=True)
class Build:
    """The objects that Flux applies, and (object, problem) of what it refuses or moves."""

    contents: list[dict[str, Any]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def copy_clone(clone: Path, copy: Path) -> None:
    """Copy what Flux fetches of a repository: no symbolic links, no submodules.

    Raises FleetError for what cannot be read.
    """

    def not_fetched(folder: str, names: list[str]) -> Iterable[str]:
        if ".git" in names and Path(folder) != clone:
            return names
        odd = {name for name in names if not _plain(Path(folder, name))}
        return odd.union(*(fnmatch.filter(names, pattern) for pattern in _NOT_FETCHED))

    try:
        shutil.copytree(clone, copy, ignore=not_fetched)
    except (OSError, RecursionError) as error:
        said = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        raise FleetError(f"{clone}: cannot be read: {said}") from None


def _plain(path: Path) -> bool:
    return not path.is_symlink() and (path.is_dir() or path.is_file())


def build(clone: Path, copy: Path, path: str, namespace: str) -> Build:
    """Build the folder `path` of the copy of a clone as Flux does that fills a namespace.

    `copy` is a resolved path; it is the same again afterwards.
    """
    folder = copy / path
    if not folder.is_dir():
        where = folder.relative_to(copy)
        problem = f"{where} {_absent(clone, where)}, or ask the platform for another path"
        return Build(problems=[("", problem)])
    if not kustomization(folder) and (folder / KUSTOMIZATION_FILES[0]).exists():
        return Build(problems=[("", f"does not build: {KUSTOMIZATION_FILES[0]} is no file")])
    if problems := sorted(set(_strays(clone, copy, folder))):
        return Build(problems=problems)  # building would go elsewhere, also to the network
    try:
        return _build(copy, folder, namespace)
    except CommandError as error:
        return Build(problems=[("", f"does not build: {error}")])


def _build(copy: Path, folder: Path, namespace: str) -> Build:
    """Build it as it is, which tells what namespaces it names, and in the namespace, as Flux."""
    found = kustomization(folder)
    kept = found.read_bytes() if found else None
    file = found or folder / KUSTOMIZATION_FILES[0]
    # Flux lists what there is where nobody did.
    content = _read(file, Loader) if found else {"resources": list(manifests(folder))}
    content = {_CANONICAL.get(key.casefold(), key): value for key, value in content.items()}
    if not content.get("resources"):
        content["buildMetadata"] = ["originAnnotations"]  # as Flux, for else it may be "empty"
    named = content.pop("namespace", None)
    try:
        _write(file, content)
        try:
            unmoved = _objects(copy, folder)
        except CommandError:
            unmoved = []  # it is only of use in the namespace
        problems = [*_moved(unmoved, named, namespace)]
        if clashes := [*_clashes(unmoved)]:
            # kustomize would say so too, with all that is in both.
            return Build(problems=problems + clashes)
        _write(file, content | {"namespace": namespace})
        return Build(contents=_objects(copy, folder), problems=problems)
    finally:
        if kept is None:
            file.unlink()
        else:
            file.write_bytes(kept)


def _moved(
    objects: Iterable[Mapping[str, Any]], named: object, namespace: str
) -> Iterator[tuple[str, str]]:
    """What names another namespace than its own: Flux changes it, which nobody can mean."""
    if named not in (None, namespace):
        yield f"namespace: {named}", f"Flux puts all into {namespace} instead; remove it"
    for item in objects:
        other = item["metadata"].get("namespace")
        if other not in (None, namespace):
            problem = f"names namespace {other}; Flux puts it into {namespace}"
            yield _name(item), f"{problem}; remove metadata.namespace"


def _clashes(objects: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What has the name of another once both are in one namespace: Flux applies nothing then."""
    first: dict[tuple[str, str, str], str] = {}
    for item in objects:
        key = (_group(item), item["kind"], item["metadata"]["name"])
        name = _name(item)
        if first.setdefault(key, name) != name:
            yield name, f"is {first[key]} once both are in one namespace; remove or rename one"


def _group(item: Mapping[str, Any]) -> str:
    return str(item["apiVersion"]).rpartition("/")[0]


def _name(item: Mapping[str, Any]) -> str:
    return Built(path="", content=item).name


def _objects(copy: Path, folder: Path) -> list[dict[str, Any]]:
    # Flux lets a build use all of the repository; `_strays` has seen that it stays there.
    options = ("--load-restrictor", "LoadRestrictionsNone")
    return kustomize.build(copy, folder.relative_to(copy).as_posix(), *options)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml_writer.untrusted_to_yaml(content), encoding="utf-8")


def _read(file: Path, loader: type[Loader] | type[yaml_reader.Texts]) -> dict[str, Any]:
    """Return a kustomization; raises CommandError where it is none."""
    try:
        documents = yaml_reader.documents(file.read_bytes(), loader)
    except ValueError as error:
        raise CommandError(f"{file.name}: {error}") from None
    if len(documents) > 1 or not all(isinstance(content or {}, dict) for content in documents):
        raise CommandError(f"{file.name} is not one mapping")
    content = documents[0] or {} if documents else {}
    return {str(key): value for key, value in content.items()}


def _strays(clone: Path, copy: Path, start: Path) -> Iterator[tuple[str, str]]:
    """Yield what a build would not find in the repository: (reference, problem).

    kustomize itself goes wherever it is told, so also what only may lead elsewhere is a problem.
    """
    todo, seen = [start], set()
    while todo:
        folder = todo.pop()
        file = kustomization(folder)
        if folder in seen or (file is None and folder != start):
            continue
        seen.add(folder)
        where = (file or folder / KUSTOMIZATION_FILES[0]).relative_to(copy)
        try:
            # As Flux lists what there is where nobody did.
            listed = {"resources": list(manifests(folder))}
            content = _folded(_read(file, yaml_reader.Texts) if file else listed)
        except CommandError as error:
            yield str(where), f"{_UNCHECKED}: {error}"
            continue
        for key, text in _references(content):
            name = f"{where}: {key}: {text}"
            target = _target(folder, key, text)
            problem = _problem(clone, copy, target, text)
            plain = key not in _INLINE or _NO_CONTENT.fullmatch(text)
            inline = not plain and not os.path.lexists(target)
            if problem and (not inline or problem == _IS_REMOTE):
                yield name, problem
            elif key not in _PLUGINS:
                if not inline and target.is_dir():
                    todo.append(target)
            elif not inline and not plain:
                yield name, f"{_UNCHECKED}: may be no file, but the content itself; rename it"
            elif not inline and target.is_dir():
                yield name, f"{_UNCHECKED}: is a folder; name the files in it"
            else:
                yield from (
                    (f"{where}: {key}: {inner}".removesuffix(": "), problem)
                    for inner, problem in _plugin_strays(
                        clone, copy, folder, text if inline else target
                    )
                )


def _plugin_strays(
    clone: Path, copy: Path, folder: Path, config: Path | str
) -> Iterator[tuple[str, str]]:
    """Yield what the configuration of plugins would not find: (reference, problem)."""
    source = config.relative_to(copy).as_posix() if isinstance(config, Path) else ""
    try:
        text = config.read_bytes() if isinstance(config, Path) else config
        documents = yaml_reader.documents(text, yaml_reader.Texts)
    except ValueError as error:
        yield source, f"{_UNCHECKED}: {error}"
        return
    for document in documents:
        if document is None:
            continue
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind not in _KINDS:
            yield source, f"{_UNCHECKED}: kind {kind} is no plugin of kustomize's own; remove it"
            continue
        lists = (v for k, v in document.items() if str(k).casefold() == "replacements")
        for holder in (document, *(item for found in lists for item in items(found))):
            for inner, held in _held(holder):
                problem = _problem(clone, copy, _target(folder, inner, held), held)
                if problem:
                    yield f"{inner}: {held}", problem


def _folded(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a kustomization by key as kustomize compares them; CommandError for equal ones."""
    folded: dict[str, Any] = {}
    for key, value in content.items():
        if key.casefold() in folded:
            raise CommandError(f"key {key} is there twice, in another case; keep one")
        folded[key.casefold()] = value
    return folded


def _references(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of every file and folder that a kustomization, folded, names."""
    for key in (*_LISTS, *_PLUGINS):
        yield from ((key, text) for text in _strings(content.get(key)))
    for holder in (content.get("openapi"), *(i for k in _HOLDERS for i in items(content.get(k)))):
        yield from _held(holder)


def _held(holder: object) -> Iterator[tuple[str, str]]:
    for key, value in holder.items() if isinstance(holder, dict) else ():
        if str(key).casefold() in _HELD:
            yield from ((str(key).casefold(), text) for text in _strings(value))


def _strings(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text for text in listed if isinstance(text, str)]


def _target(folder: Path, key: str, text: str) -> Path:
    path = text.rpartition("=")[2] if key == "files" else text
    return Path(os.path.normpath(folder / path))


def _problem(clone: Path, copy: Path, target: Path, text: str) -> str | None:
    if _REMOTE.match(text.rpartition("=")[2]) or _REMOTE.match(text):
        return _IS_REMOTE
    if copy != target and copy not in target.parents:
        return "leaves the repository, which Flux refuses; name something within it"
    if not os.path.exists(target):  # noqa: PTH110 - no error whatever its name is
        return _absent(clone, target.relative_to(copy))
    return None


def _absent(clone: Path, path: Path) -> str:
    """Say why a path of a clone is not in what Flux fetches of it."""
    way = [path, *path.parents]
    if any(os.path.islink(clone / part) for part in way if part.name):  # noqa: PTH114 - the same
        return "is a symbolic link, which Flux leaves out; commit what it points to"
    return "is not in what Flux fetches of the clone; add it"
