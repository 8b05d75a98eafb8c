"""The objects in the output of `helm template`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fleet.errors import CommandError
from fleet.kube import yaml_reader
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id

_HOOK = "helm.sh/hook"


def without_hooks(objects: Iterable[Manifest]) -> list[Manifest]:
    """Return the objects that a release keeps: no hooks and no tests."""
    return [
        manifest
        for manifest in objects
        if _HOOK not in mapping_at(manifest, "metadata", "annotations")
    ]


def crds(texts: Sequence[str], labels: Mapping[str, str]) -> list[Manifest]:
    """Return the CRDs of `crds/` with more labels, from two texts without and with them.

    Helm puts them before all templates. Files there can hold any comment, and templates any random
    value, so only the number of documents tells where they end. Flux applies nothing else from
    that folder. Raises CommandError.
    """
    if len(texts) < 2 or len(texts[0]) == len(texts[1]):
        return []
    rendered, both = (_documents(text) for text in texts)
    found = both[: len(both) - len(rendered)]
    return [_labelled(manifest, labels) for manifest in found if _is_crd(manifest)]


def _documents(text: str) -> list[Manifest]:
    try:
        return [content for content in yaml_reader.documents(text) if isinstance(content, dict)]
    except ValueError as error:
        raise CommandError(f"helm's output: {error}") from None


def _is_crd(manifest: Manifest) -> bool:
    found = object_id(manifest)
    return (found.group, found.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition")


def _labelled(manifest: Manifest, labels: Mapping[str, str]) -> Manifest:
    metadata = mapping_at(manifest, "metadata")
    marked = {**metadata, "labels": {**mapping_at(metadata, "labels"), **labels}}
    return {**manifest, "metadata": marked}
