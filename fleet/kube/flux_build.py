"""The build of one folder, as Flux does it for one of its Kustomizations, without a network."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.errors import CommandError
from fleet.kube import builds, references, yaml_writer
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.builds import Built, Inputs
from fleet.kube.fields import Fields, mappings_in
from fleet.kube.kustomize import KUSTOMIZATION_FILES, generated_resources, kustomization_file
from fleet.kube.references import ReferenceProblem
from fleet.kube.yaml_reader import Loader

# With these fields of its Kustomization Flux changes that of a path before it builds the path.
CHANGING_FIELDS = (
    "targetNamespace", "namePrefix", "nameSuffix", "patches", "images", "components",
    "ignoreMissingComponents", "buildMetadata",
)  # fmt: skip
# Flux sets the key on the right to the text that its Kustomization has at the key on the left.
_TEXTS = {"targetNamespace": "namespace", "namePrefix": "namePrefix", "nameSuffix": "nameSuffix"}
# Flux adds the items of these lists of its Kustomization.
_LISTS = ("patches", "components")
# kustomize accepts keys in any case; these are the ones that Flux changes.
_OTHER_KEYS = ("apiVersion", "kind", "images", "resources", "buildMetadata")
_KEYS = {key.casefold(): key for key in (*_TEXTS.values(), *_LISTS, *_OTHER_KEYS)}
# Flux writes these into a kustomization that has none.
_TYPE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def reference_problems(built: ArtifactFolder, spec: Fields) -> list[ReferenceProblem]:
    """Return the references that a build must not follow, for a Kustomization with `spec`."""
    return sorted(set(references.problems(built, components(built, spec))))


def build(built: ArtifactFolder, spec: Fields) -> Built:
    """Return what Flux builds from a folder for a Kustomization with `spec`.

    The build follows all references, so `reference_problems` must have found none. Raises
    CommandError.
    """
    named = components(built, spec)
    content = with_flux_fields(kustomization(built.folder), spec, named)
    file = kustomization_file(built.folder)
    if file and _read(file) == content:
        return base(built)
    return _build(built, named, content)


def build_with(
    built: ArtifactFolder, content: Mapping[str, Any], named: Sequence[str] = ()
) -> Built:
    """Return what kustomize builds from a folder whose kustomization has `content` instead.

    The content may name more components, `named`, than the kustomization that is there.
    """
    return _build(built, named, content)


def build_changed(built: ArtifactFolder, contents: Mapping[str, Mapping[str, Any]]) -> Built:
    """Return what kustomize builds from a folder if kustomizations had other contents.

    They are named by their files, and read no more files than the ones that are there.
    """
    found = inputs(built)
    texts = {file: _text(content) for file, content in contents.items()}
    return builds.build(dataclasses.replace(found, files={**found.files, **texts}))


def base(built: ArtifactFolder) -> Built:
    """Return what kustomize builds from a folder that another kustomization lists.

    The build follows all references, so `reference_problems` must have found none. Raises
    CommandError.
    """
    return builds.build(inputs(built))


def _build(built: ArtifactFolder, named: Sequence[str], content: Mapping[str, Any]) -> Built:
    file = kustomization_file(built.folder) or built.folder / KUSTOMIZATION_FILES[0]
    found = inputs(built, named)
    files = {**found.files, file.relative_to(built.copy).as_posix(): _text(content)}
    return builds.build(dataclasses.replace(found, files=files))


def _text(content: Mapping[str, Any]) -> bytes:
    try:
        return yaml_writer.untrusted_to_yaml(content).encode()
    except UnicodeEncodeError:
        raise CommandError("the name of a file is not UTF-8; rename it") from None


def inputs(built: ArtifactFolder, named: Sequence[str] = ()) -> Inputs:
    """Return all that a build of a folder reads, with components that Flux adds."""
    paths = {
        path: path.relative_to(built.copy).as_posix() for path in references.inputs(built, named)
    }
    return Inputs(
        path=built.folder.relative_to(built.copy).as_posix(),
        files={name: path.read_bytes() for path, name in paths.items() if path.is_file()},
        folders=frozenset(name for path, name in paths.items() if path.is_dir()),
    )


def kustomization(folder: Path) -> dict[str, Any]:
    """Return the kustomization of a folder; Flux generates one if the folder has none."""
    file = kustomization_file(folder)
    content = _read(file) if file else {"resources": list(generated_resources(folder))}
    if not content.get("resources"):
        # Flux sets this, and without it kustomize refuses a kustomization without resources.
        content["buildMetadata"] = ["originAnnotations"]
    return _TYPE | content


def _read(file: Path) -> dict[str, Any]:
    content = references.read_kustomization(file, Loader)
    return {_KEYS.get(key.casefold(), key): value for key, value in content.items()}


def with_flux_fields(
    content: Mapping[str, Any], spec: Fields, named: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a kustomization with the fields that Flux takes from its own Kustomization."""
    texts = {key: spec[name] for name, key in _TEXTS.items() if isinstance(spec.get(name), str)}
    added = {"patches": mappings_in(spec.get("patches")), "components": named}
    lists = {key: [*_list(content.get(key)), *items] for key, items in added.items() if items}
    images = mappings_in(spec.get("images"))
    if images:
        names = [image.get("name") for image in images]
        kept = [
            image for image in mappings_in(content.get("images")) if image.get("name") not in names
        ]
        lists["images"] = [*kept, *images]
    if isinstance(spec.get("buildMetadata"), list):
        lists["buildMetadata"] = spec["buildMetadata"]
    return {**content, **texts, **lists}


def components(built: ArtifactFolder, spec: Fields) -> list[str]:
    """Return the components that Flux adds to the kustomization of a folder."""
    named = [item for item in _list(spec.get("components")) if isinstance(item, str)]
    if spec.get("ignoreMissingComponents") is not True:
        return named
    return [name for name in named if os.path.exists(built.folder / name)]  # noqa: PTH110 - accepts any name


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
