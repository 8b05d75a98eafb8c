"""The variables of built objects, with the values that Flux would give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet.inventory.objects import Objects
from fleet.kube import substitution
from fleet.kube.envsubst import Expression
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each
from fleet.kube.substitution import Values, VariableError
from fleet.render import facts


@dataclass(frozen=True, kw_only=True)
class VariableUse:
    """The variables of one object that was built from `path`, and what they have made of it."""

    path: str
    manifest: Manifest
    expressions: Sequence[Expression] = ()
    # The variables without a value, if all values are known.
    missing: frozenset[str] = frozenset()
    # The text of a variable that Flux cannot read.
    refused: str = ""
    # The variables get their values from the cluster's facts.
    takes_facts: bool = False
    # Flux replaces the variables; without a postBuild it leaves them.
    is_replaced: bool = False
    has_unknown: bool = False
    # The names of the variables that are in a text of several lines.
    in_files: frozenset[str] = field(default_factory=frozenset)


_template = once_for_each(substitution.template)


def are_in(manifest: Manifest) -> bool:
    """Tell whether an object has variables."""
    return _template(manifest).has_variables


def use_of(path: str, spec: Fields, manifest: Manifest, values: Values | None) -> VariableUse:
    """Return the variables of an object that has some, with the `spec` of its Flux Kustomization.

    Raises CommandError.
    """
    template = _template(manifest)
    takes_facts = any(
        (source.get("kind"), source.get("name")) == ("ConfigMap", facts.CONFIG_MAP)
        for source in mappings_in(mapping_at(spec, "postBuild").get("substituteFrom"))
    )
    try:
        expressions = template.expressions()
        found = template.substitute(values) if values else None
    except VariableError as error:
        return VariableUse(
            path=path,
            manifest=manifest,
            refused=error.expression,
            takes_facts=takes_facts,
            is_replaced=values is not None,
            has_unknown=values is not None,
        )
    are_known = values is None or values.are_complete
    missing = found.missing if found else frozenset[str]()
    return VariableUse(
        path=path,
        manifest=found.manifest if found else manifest,
        expressions=expressions,
        missing=missing if are_known else frozenset(),
        takes_facts=takes_facts,
        is_replaced=values is not None,
        has_unknown=not are_known or bool(missing),
        in_files=template.names_in_files(),
    )


def data_of(objects: Objects, namespace: str, name: str) -> Fields | None:
    """Return the data of a ConfigMap of the cluster, None if it is not there or encrypted."""
    wanted = ("v1", namespace, name)
    for built in objects.of_kinds("ConfigMap"):
        if (built.api_version, built.namespace, built.name) == wanted:
            return None if built.is_encrypted else mapping_at(built.manifest, "data")
    return None
