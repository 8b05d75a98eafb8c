"""The variables that Flux substitutes in what a Kustomization with `postBuild` has built."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet.errors import CommandError
from fleet.inventory.built_object import BuiltObject
from fleet.kube import yaml_reader
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest
from fleet.kube.yaml_writer import to_yaml

_DISABLED = "kustomize.toolkit.fluxcd.io/substitute"
_NAME = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
# `$${` is a text. Of the functions only the two forms of a default value are known here.
_VARIABLE = re.compile(
    r"\$\$\{|\$\{(?P<name>[_A-Za-z][_A-Za-z0-9]*)(:?[=-](?P<default>[^{}$]*))?\}"
)


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values of variables; if they are not complete, the others are only in the cluster."""

    by_name: Mapping[str, str]
    are_complete: bool

    def substitute(self, manifest: Manifest) -> Manifest:
        """Return an object with its variables replaced by their values.

        Flux replaces them in the text, so a value can be a number or even a list. Unknown
        variables stay if the values are not complete. Raises CommandError.
        """
        metadata = mapping_at(manifest, "metadata")
        marks = (mapping_at(metadata, "labels"), mapping_at(metadata, "annotations"))
        if any(mark.get(_DISABLED) == "disabled" for mark in marks):
            return manifest
        text = to_yaml(manifest)
        if "${" not in text:
            return manifest
        try:
            (found,) = yaml_reader.documents(_VARIABLE.sub(self._value, text))
            # Flux makes JSON of the text, in which all keys are texts.
            found = json.loads(json.dumps(found, default=str))
        except (TypeError, ValueError) as error:
            raise CommandError(f"with the variables of postBuild: {error}") from None
        if not isinstance(found, dict):
            raise CommandError("with the variables of postBuild: an object is no mapping")
        return found

    def _value(self, match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            return "${"
        if value := self.by_name.get(name):
            return value
        if self.are_complete:
            return default or ""
        return match[0]


def values(spec: Fields, namespace: str, objects: Iterable[BuiltObject]) -> Values | None:
    """Return the values for what a Kustomization with `spec` builds; None without variables.

    ConfigMaps are found among `objects`. Secrets are only in the cluster. Raises CommandError.
    """
    post_build = mapping_at(spec, "postBuild")
    config_maps = {
        built.name: built
        for built in objects
        if (built.api_version, built.kind, built.namespace) == ("v1", "ConfigMap", namespace)
    }
    by_name: dict[str, str] = {}
    are_complete = True
    for source in mappings_in(post_build.get("substituteFrom")):
        found = config_maps.get(str(source.get("name")))
        if source.get("kind") == "ConfigMap" and found is not None:
            by_name |= _texts(mapping_at(found.manifest, "data"))
        else:
            are_complete = False
    by_name |= _texts(mapping_at(post_build, "substitute"))
    for name in by_name:
        if not _NAME.fullmatch(name):
            raise CommandError(
                f"postBuild: {name} is not the name of a variable; use letters, digits and '_'"
            )
    # Without any value Flux leaves the objects as they are.
    return (
        Values(by_name=by_name, are_complete=are_complete) if by_name or not are_complete else None
    )


def _texts(data: Fields) -> dict[str, str]:
    return {str(key): str(value).replace("\n", "") for key, value in data.items()}
