"""The list of a stage, in both forms: references to shared definitions, or to rendered files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.config.models import Entry, Stack
from fleet.kube.manifest import Manifest
from fleet.kube.yaml_writer import comment, to_yaml
from fleet.render.tree_file import TreeFile

# Entries of a stage, each with its shared folder.
Pairs = Sequence[tuple[str, Entry]]


def source_of(folder: str, entry: Entry) -> str:
    """Return the folder of an entry's definition, in the repository."""
    return f"{folder}/{entry.path}"


def referenced(stack: Stack, pairs: Pairs) -> TreeFile:
    """Return the list that names the folders of the definitions."""
    # The list is in clusters/<stack>/<stage>, and its paths lead to the root of the repository.
    up = "../" * (stack.path.count("/") + 2)
    sources = [source_of(folder, entry) for folder, entry in pairs]
    return _list(pairs, {source: [f"{up}{source}"] for source in sources})


def rendered(pairs: Pairs, resources: Mapping[str, Sequence[str]]) -> TreeFile:
    """Return the list that names the rendered files; `resources` has them by definition."""
    return _list(pairs, resources)


def kustomization(resources: Sequence[str]) -> Manifest:
    """Return a kustomization that lists resources."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }


def _list(pairs: Pairs, resources: Mapping[str, Sequence[str]]) -> TreeFile:
    named = [(entry, resources[source_of(folder, entry)]) for folder, entry in pairs]
    listing = kustomization([resource for _, found in named for resource in found])

    def write() -> str:
        text = to_yaml(listing)
        for entry, found in named:
            if entry.because and found:
                line = f"  - {found[0]}\n"
                text = text.replace(line, f"  {comment(entry.because)}{line}")
        return text

    return TreeFile(manifests=[listing], write=write)
