"""Objects against the JSON Schemas of their kinds, by kubeconform."""

from __future__ import annotations

from pathlib import Path

from fleet import cache
from fleet.errors import CommandError
from fleet.kube import kustomize

# Where the schema of a kind is; kubeconform fills it in, with "v1" for the core group.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"


def kubeconform() -> str:
    """Return the path of kubeconform."""
    if found := kustomize._find("kubeconform"):
        return found
    raise CommandError("kubeconform: not found; put it on PATH or run `make tools`")


def folder() -> Path:
    """Return the folder of JSON Schemas of Kubernetes, Flux, Kyverno and Gateway API."""
    folder = cache.schemas()
    if not folder.is_dir():
        raise CommandError("JSON folder: not at hand; run `make tools`")
    return folder


def require() -> None:
    """Raise CommandError when one is absent: one line, before it is a finding for every path."""
    kustomize.kustomize()
    kubeconform()
    folder()
