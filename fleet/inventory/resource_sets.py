"""The objects that ResourceSets of the Flux Operator make, as far as their files alone say so.

A ResourceSet is a template with inputs. One with plain inputs and nothing but their names in the
template is filled in here; any other one only the cluster can fill in.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.entrypoints import FLUX_OPERATOR
from fleet.inventory.finding import Finding
from fleet.kube import go_yaml, yaml_reader
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id

_OPEN = "<<"
_INPUT = re.compile(r"<<\s*inputs\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*>>")
_SWITCH = "fluxcd.controlplane.io/reconcile"
Made = tuple[Sequence[BuiltObject], Sequence[Finding]]
_NOTHING: Made = ((), ())


class _TemplateError(Exception):
    """A template needs more than its plain inputs."""


def made_by(built: BuiltObject) -> Made:
    """Return the objects that a ResourceSet makes, or a finding for what is not known.

    An instance of the Flux Operator makes Flux itself, which is in no file.
    """
    if built.group != FLUX_OPERATOR:
        return _NOTHING
    if built.kind == "FluxInstance":
        return (), [built.finding(_flux_of(built.spec))]
    if built.kind != "ResourceSet":
        return _NOTHING
    try:
        manifests = _manifests(built.spec)
    except _TemplateError as error:
        return (), [built.finding(f"{error}, so only the cluster knows what it makes")]
    filled = dataclasses.replace(built, made_by=built.manifest, before_variables=None)
    return [dataclasses.replace(filled, manifest=found) for found in manifests], ()


def _flux_of(spec: Fields) -> str:
    version = mapping_at(spec, "distribution").get("version")
    patches = len(mappings_in(mapping_at(spec, "kustomize").get("patches")))
    with_patches = f" with {patches} patches" if patches else ""
    return f"installs Flux {version}{with_patches}, which is in no file here"


def _manifests(spec: Fields) -> list[Manifest]:
    """Return the objects that a ResourceSet makes. Raises _TemplateError if they are not known."""
    if spec.get("inputsFrom"):
        raise _TemplateError("has inputs from elsewhere")
    inputs = mappings_in(spec.get("inputs"))
    parts = mappings_in(spec.get("steps")) or [spec]
    found: dict[tuple[str, ...], Manifest] = {}
    for part in parts:
        for template in _templates(part):
            for values in inputs or [{}]:
                for manifest in _filled(template, values):
                    if not _is_switched_off(manifest):
                        found.setdefault(object_id(manifest), manifest)
    return list(found.values())


def _templates(part: Fields) -> list[str]:
    """Return the templates of a ResourceSet, or of one of its steps, as texts."""
    texts = [go_yaml.to_text(resource) for resource in mappings_in(part.get("resources"))]
    whole = part.get("resourcesTemplate")
    return [*texts, whole] if isinstance(whole, str) else texts


def _filled(template: str, values: Fields) -> list[Manifest]:
    text = _INPUT.sub(lambda match: _text(values, match["name"]), template)
    if _OPEN in text:
        raise _TemplateError("is a template with more than plain inputs")
    try:
        if "\n---" not in f"\n{text}":
            return [go_yaml.from_text(text)]
        return [item for item in yaml_reader.documents(text) if isinstance(item, dict)]
    except ValueError:
        raise _TemplateError("is a template that makes no plain YAML") from None


def _text(values: Mapping[str, object], name: str) -> str:
    """Return the text of an input as the template has it. Raises _TemplateError for another one."""
    value = values.get(name)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    raise _TemplateError(f"has no plain input {name}")


def _is_switched_off(manifest: Manifest) -> bool:
    return mapping_at(manifest, "metadata", "annotations").get(_SWITCH) == "disabled"
