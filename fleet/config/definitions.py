"""The shared definitions: the YAML files below apps/ and infrastructure/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.config.entry_rules import KUSTOMIZATION_FILES

SHARED_FOLDERS = ("apps", "infrastructure")
# Namespaces that every cluster has by itself.
BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


class Loader(yaml.CSafeLoader):
    """Reads what Kubernetes reads: there, a bare `=` is a text, and so is a date."""


for _tag in ("value", "timestamp"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda loader, node: str(node.value))


def namespace_homes(root: Path) -> dict[str, str]:
    """Return every namespace that a definition creates, and which folder has it."""
    return {
        name: path.parent.relative_to(root).as_posix()
        for path in yaml_files(root)
        for content in documents(path)
        if (name := _created_namespace(content)) is not None
    }


def _created_namespace(content: Mapping[str, Any]) -> str | None:
    """The namespace that an object is, or that Helm makes for it."""
    metadata, spec = content.get("metadata"), content.get("spec")
    found = None
    if content.get("kind") == "Namespace" and isinstance(metadata, dict):
        found = metadata.get("name")
    elif content.get("kind") == "HelmRelease" and isinstance(spec, dict):
        install = spec.get("install")
        if isinstance(install, dict) and install.get("createNamespace"):
            found = spec.get("targetNamespace")
    return None if found is None else str(found)


def yaml_files(root: Path) -> Iterator[Path]:
    """Yield the YAML files of the shared definitions, sorted."""
    for folder in SHARED_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            known = path.suffix in (".yaml", ".yml") or path.name in KUSTOMIZATION_FILES
            if known and path.is_file():
                yield path


def complete(folder: Path) -> None:
    """List the YAML files of a folder that has no kustomization.yaml, as Flux does to build it."""
    if not kustomization(folder):
        content = {"resources": list(manifests(folder))}
        (folder / KUSTOMIZATION_FILES[0]).write_text(yaml.safe_dump(content), encoding="utf-8")


def manifests(folder: Path, below: str = "") -> Iterator[str]:
    """Yield what Flux lists for a folder without a kustomization, relative to it."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not kustomization(path):
            yield from manifests(path, f"{below}{path.name}/")
        elif path.is_dir() or path.suffix in (".yaml", ".yml"):
            yield f"{below}{path.name}"


def kustomization(folder: Path) -> Path | None:
    """Return the file in a folder that kustomize would take, None where there is none."""
    files = (folder / name for name in KUSTOMIZATION_FILES)
    return next((file for file in files if file.is_file()), None)


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the mappings in a YAML file; none of one that cannot be read."""
    try:
        found = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=Loader))
    except (OSError, ValueError, yaml.YAMLError):
        # kustomize names it where a cluster uses it.
        return []
    return [document for document in found if isinstance(document, dict)]
