"""The changes that helm-controller makes to what Helm rendered, made by the real kustomize."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.helm.charts import HELM_RELEASES
from fleet.kube import kustomize
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id

_INPUT = "helm-output.yaml"
_TYPE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_PATCH_KEYS = ("patch", "target")
_IMAGE_KEYS = ("name", "newName", "newTag", "digest")


def run(text: str, release: Manifest) -> list[Manifest]:
    """Return the objects of a text after all changes of a HelmRelease. Raises CommandError."""
    renderers = [
        kustomization
        for renderer in mappings_in(mapping_at(release, "spec").get("postRenderers"))
        if (kustomization := mapping_at(renderer, "kustomize"))
    ]
    # The metadata come last, and kustomize changes them after everything else in a folder.
    steps = [_kustomization(fields) for fields in renderers] or [dict[str, Any]()]
    for step in steps[:-1]:
        text = _built(text, step, {})
    return kustomize.manifests(_built(text, steps[-1], _transformers(release)))


def origin_labels(release: Manifest) -> dict[str, str]:
    """Return the labels with which helm-controller marks every object of a HelmRelease."""
    found = object_id(release)
    return {f"{HELM_RELEASES}/name": found.name, f"{HELM_RELEASES}/namespace": found.namespace}


def _kustomization(fields: Fields) -> dict[str, Any]:
    """Return the parts of a post-renderer that helm-controller gives kustomize."""
    return {
        "patches": [_only(patch, _PATCH_KEYS) for patch in mappings_in(fields.get("patches"))],
        "images": [_only(image, _IMAGE_KEYS) for image in mappings_in(fields.get("images"))],
    }


def _only(fields: Fields, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: fields[key] for key in keys if key in fields}


def _transformers(release: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return the files with kustomize's transformers of labels and annotations."""
    common = mapping_at(release, "spec", "commonMetadata")
    labels = {**mapping_at(common, "labels"), **origin_labels(release)}
    annotations = mapping_at(common, "annotations")
    found: dict[str, Mapping[str, Any]] = {}
    found["labels.yaml"] = _transformer("LabelTransformer", "labels", labels)
    if annotations:
        kind = "AnnotationsTransformer"
        found["annotations.yaml"] = _transformer(kind, "annotations", annotations)
    return found


def _transformer(kind: str, key: str, values: Fields) -> dict[str, Any]:
    return {
        "apiVersion": "builtin",
        "kind": kind,
        "metadata": {"name": key},
        key: dict(values),
        "fieldSpecs": [{"path": f"metadata/{key}", "create": True}],
    }


def _built(text: str, fields: Mapping[str, Any], more: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what kustomize builds from a text, a kustomization and files of transformers."""
    if not any(line.strip() and line[0] not in "#-" for line in text.splitlines()):
        return ""  # kustomize refuses a file without objects.
    content = {**_TYPE, **fields, "resources": [_INPUT], "transformers": sorted(more)}
    with tempfile.TemporaryDirectory(prefix="fleet-helm-") as name:
        folder = Path(name)
        (folder / _INPUT).write_text(text, encoding="utf-8")
        written = {kustomize.KUSTOMIZATION_FILES[0]: content, **more}
        for file, fields_of_file in written.items():
            (folder / file).write_text(json.dumps(fields_of_file), encoding="utf-8")
        return kustomize.build(folder, ".")
