"""The shared definitions: all YAML files below apps/ and infrastructure/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fleet.kube import yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.kube.manifest import Manifest

SHARED_FOLDERS = ("apps", "infrastructure")
_CRD = "CustomResourceDefinition"


def namespace_folders(root: Path) -> dict[str, str]:
    """Return every namespace that a definition creates, with the folder of the definition."""
    root = root.resolve()
    return {
        name: path.parent.relative_to(root).as_posix()
        for path in yaml_files(root)
        for manifest in yaml_reader.mappings_in(path)
        if (name := created_namespace(manifest)) is not None
    }


def created_namespace(manifest: Manifest) -> str | None:
    """Return the namespace that an object is, or that Helm creates for it."""
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    found = None
    if manifest.get("kind") == "Namespace" and isinstance(metadata, dict):
        found = metadata.get("name")
    elif manifest.get("kind") == "HelmRelease" and isinstance(spec, dict):
        install = spec.get("install")
        if isinstance(install, dict) and install.get("createNamespace"):
            found = spec.get("targetNamespace")
    # The text of another value could be longer than fits into memory.
    return found if isinstance(found, str) else None


def crds(root: Path) -> Iterator[Manifest]:
    """Yield the CustomResourceDefinitions among the shared definitions."""
    for path in yaml_files(root):
        if _CRD.encode() in path.read_bytes():
            found = yaml_reader.mappings_in(path)
            yield from (manifest for manifest in found if manifest.get("kind") == _CRD)


def yaml_files(root: Path) -> Iterator[Path]:
    """Yield the YAML files of the shared definitions, sorted. Flux follows no symbolic link."""
    root = root.resolve()
    for folder in SHARED_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            known = path.suffix in (".yaml", ".yml") or path.name in KUSTOMIZATION_FILES
            if known and path.is_file() and path.resolve() == path:
                yield path
