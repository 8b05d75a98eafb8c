"""An object as a policy sees it: its own content, and the part of its namespace that matters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from fleet.inventory import built_object
from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.once import once_for_each
from fleet.policies.policy import Policy

NAME_LABEL = "kubernetes.io/metadata.name"
# YAML reads these as ends of lines or refuses them, and JSON need not escape them.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def json_of(manifest: Manifest) -> str:
    """Return an object as JSON that is YAML, too."""
    # YAML has no pairs of escapes for one character, so most characters stay as they are.
    text = json.dumps(manifest, default=str, ensure_ascii=False, sort_keys=True)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@once_for_each
def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(json_of(manifest).encode("utf-8", "surrogatepass")).hexdigest()


class View(NamedTuple):
    """The part of a namespace that matters to a policy, and its text."""

    namespace: Manifest
    text: str


Views = dict[tuple[str, int, bool, frozenset[str]], tuple[Manifest | None, View | None]]


@dataclass(frozen=True, kw_only=True)
class Namespaces:
    """The Namespaces of a cluster by name."""

    by_name: Mapping[str, Manifest]
    # Clusters share them, since most of their namespaces are equal.
    views: Views = field(default_factory=dict)

    def labels(self, name: str) -> dict[str, object]:
        """Return the labels of a namespace, also of one that the tree does not bring."""
        found = mapping_at(self.by_name.get(name), "metadata", "labels")
        return {**found, NAME_LABEL: name} if name else {}

    def view(self, name: str, policy: Policy) -> View | None:
        """Return the part of a namespace that matters to a policy, None if nothing does."""
        own = self.by_name.get(name)
        key = (name, id(own), policy.needs_namespace, policy.label_keys)
        if key not in self.views:
            content = self._content(name, policy) if name else None
            # The namespace is kept too, so that no other one gets its number.
            self.views[key] = (own, None if content is None else View(content, json_of(content)))
        return self.views[key][1]

    def _content(self, name: str, policy: Policy) -> Manifest | None:
        labels = self.labels(name)
        if policy.needs_namespace:
            content = self.by_name.get(name, {})
            metadata = {**mapping_at(content, "metadata"), "name": name, "labels": labels}
            return {**content, "apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        kept = {key: labels[key] for key in sorted(policy.label_keys) if key in labels}
        metadata = {"name": name, "labels": kept}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata} if kept else None


class Place(NamedTuple):
    """The identity under which Kyverno's command line keeps an object, and reports about it.

    It gives the namespace `default` to what has none.
    """

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An object and the view of its namespace, which a policy judges."""

    manifest: Manifest
    view: View | None = None

    @cached_property
    def key(self) -> str:
        """A text that is equal for subjects about which a policy says the same."""
        if self.view is None:
            return _digest(self.manifest)
        content = f"{_digest(self.manifest)} {self.view.text}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def crd(self) -> Manifest | None:
        """The CRD that a run with the object needs, None if it needs none."""
        return _irregular_crd(self.manifest)

    @cached_property
    def place(self) -> Place:
        """The identity of the object in a run."""
        metadata = mapping_at(self.manifest, "metadata")
        return Place(
            api_version=str(self.manifest.get("apiVersion")),
            kind=str(self.manifest.get("kind")),
            namespace=str(metadata.get("namespace") or "default"),
            name=str(metadata.get("name")),
        )


def _irregular_crd(manifest: Manifest) -> Manifest | None:
    """Return a CRD that tells the command line the name of an object's kind in the API.

    The command line guesses the name, such as `gatewaies`. The result is None for a right guess.
    """
    found = object_id(manifest)
    singular = found.kind.lower()
    plural = built_object.plural(found.kind)
    guessed = f"{singular[:-1]}ies" if singular.endswith("y") else f"{singular}s"
    if plural == guessed or singular.endswith("s"):
        return None
    version = str(manifest.get("apiVersion")).rpartition("/")[2]
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{found.group}"},
        "spec": {
            "group": found.group,
            "names": {"kind": found.kind, "plural": plural, "singular": singular},
            "scope": "Namespaced" if found.namespace else "Cluster",
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def can_be_judged(built: BuiltObject) -> bool:
    """Tell whether an object has what Kyverno's command line needs to read it."""
    found = (
        built.manifest.get("apiVersion"),
        built.manifest.get("kind"),
        built.metadata.get("name"),
    )
    return all(isinstance(text, str) and text for text in found)
