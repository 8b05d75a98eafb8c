"""Flux's `postBuild`: variables in what a Flux Kustomization builds, and their values.

Flux replaces variables in the text of each object. An object is looked at once, however many
clusters have it, and its values are replaced without a text where the result is the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import CommandError
from fleet.kube import envsubst_functions, go_yaml
from fleet.kube.envsubst import Expression, Part, SubstitutionError, parse
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest

_SWITCH = "kustomize.toolkit.fluxcd.io/substitute"
# The annotation (or label) of an object in which Flux replaces nothing.
SWITCHED_OFF: Mapping[str, str] = {_SWITCH: "disabled"}
VARIABLE_NAME = r"[_a-zA-Z][_a-zA-Z0-9]*"
# Texts that YAML writes without quotes on one line, and values that stay one plain text there.
_PLAIN = re.compile(r"[A-Za-z0-9_./$][A-Za-z0-9_./${}:=@+,-]*(?<!:)")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:=@+,-]*(?<!:)")
# These functions bring a value of their own, so their variable may have none.
DEFAULTS = frozenset({"=", ":-", ":=", ":?", ":+"})
_Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values of variables; if they are not complete, the others are only in the cluster."""

    by_name: Mapping[str, str]
    are_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Substituted:
    """An object with its variables replaced; the variables that have no value stay as they are."""

    manifest: Manifest
    missing: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Template:
    """An object whose variables are known: each text that has some, by its place in the object.

    `is_in_text` says that they must be replaced in the object's text, since the same in its values
    would be something else.
    """

    manifest: Manifest
    leaves: Mapping[_Path, Sequence[Part]] = field(default_factory=dict)
    is_in_text: bool = False

    @functools.cached_property
    def _parts(self) -> Sequence[Part]:
        return parse(go_yaml.to_text(self.manifest))

    @property
    def has_variables(self) -> bool:
        """Tell whether Flux changes anything in the object."""
        return bool(self.leaves) or self.is_in_text

    def names_in_files(self) -> frozenset[str]:
        """Return the variables in texts of several lines, which are mostly whole files."""
        texts: dict[_Path, str] = {}
        if self.is_in_text:
            _find(self.manifest, (), texts)
        found: set[str] = set()
        for text in texts.values():
            if "\n" in text:
                found |= {inner.name for part in parse(text) for inner in _expressions(part)}
        return frozenset(found)

    def expressions(self) -> list[Expression]:
        """Return all expressions, those in others too. Raises CommandError."""
        return [inner for part in self._all_parts() for inner in _expressions(part)]

    def _all_parts(self) -> list[Part]:
        if not self.is_in_text:
            return [part for parts in self.leaves.values() for part in parts]
        try:
            return [*self._parts]
        except SubstitutionError as error:
            raise VariableError(error) from None

    def substitute(self, values: Values) -> Substituted:
        """Return the object with the values of its variables. Raises CommandError."""
        if not self.has_variables:
            return Substituted(manifest=self.manifest)
        missing: set[str] = set()
        try:
            if not self.is_in_text:
                texts = {
                    path: _expanded(parts, values.by_name, missing)
                    for path, parts in self.leaves.items()
                }
                if all(map(_PLAIN_VALUE.fullmatch, texts.values())):
                    found = {path: go_yaml.plain(text) for path, text in texts.items()}
                    return Substituted(
                        manifest=_with(self.manifest, found), missing=frozenset(missing)
                    )
            text = _expanded(self._parts, values.by_name, missing)
            return Substituted(manifest=go_yaml.from_text(text), missing=frozenset(missing))
        except SubstitutionError as error:
            raise VariableError(error) from None
        except ValueError as error:
            raise CommandError(f"with the variables of postBuild: {error}") from None


class VariableError(CommandError):
    """A `${...}` that Flux refuses; `expression` is its text."""

    def __init__(self, error: SubstitutionError) -> None:
        super().__init__(f"with the variables of postBuild: {error}")
        self.expression = error.expression


def template(manifest: Manifest) -> Template:
    """Return the variables of an object, none if it is switched off."""
    metadata = mapping_at(manifest, "metadata")
    marks = (mapping_at(metadata, "labels"), mapping_at(metadata, "annotations"))
    texts: dict[_Path, str] = {}
    in_keys = _find(manifest, (), texts)
    if (not texts and not in_keys) or any(mark.get(_SWITCH) == "disabled" for mark in marks):
        return Template(manifest=manifest)
    if in_keys or not all(map(_PLAIN.fullmatch, texts.values())):
        return Template(manifest=manifest, is_in_text=True)
    try:
        leaves = {path: parse(text) for path, text in texts.items()}
    except SubstitutionError:
        return Template(manifest=manifest, is_in_text=True)
    return Template(manifest=manifest, leaves=leaves)


def has_variables(text: str) -> bool:
    """Tell whether Flux changes anything in a text."""
    return "${" in text or "$$" in text


def _find(value: Any, path: _Path, texts: dict[_Path, str]) -> bool:  # noqa: ANN401 - any field
    """Add the texts with variables below `path`; return whether a key has some."""
    if isinstance(value, str):
        if has_variables(value):
            texts[path] = value
        return False
    if isinstance(value, dict):
        inner = [_find(item, (*path, key), texts) for key, item in value.items()]
        return any(inner) or any(has_variables(str(key)) for key in value)
    if isinstance(value, list):
        inner = [_find(item, (*path, index), texts) for index, item in enumerate(value)]
        return any(inner)
    return False


def _with(value: Any, leaves: Mapping[_Path, object]) -> Any:  # noqa: ANN401 - any field
    """Return a copy of a value with other leaves; it shares all that is the same."""
    if () in leaves:
        return leaves[()]
    below: dict[str | int, dict[_Path, object]] = {}
    for path, leaf in leaves.items():
        below.setdefault(path[0], {})[path[1:]] = leaf
    copied = value.copy()
    for key, inner in below.items():
        copied[key] = _with(value[key], inner)
    return copied


def _expressions(part: Part) -> list[Expression]:
    return [] if isinstance(part, str) else [*part.all()]


def _expanded(parts: Sequence[Part], values: Mapping[str, str], missing: set[str]) -> str:
    return "".join(
        part if isinstance(part, str) else _value(part, values, missing) for part in parts
    )


def _value(expression: Expression, values: Mapping[str, str], missing: set[str]) -> str:
    """Return the value of an expression, its own text if a variable of it has none."""
    if expression.name not in values and expression.function not in DEFAULTS:
        missing.add(expression.name)
        return expression.text
    lacking: set[str] = set()
    arguments = [_expanded([part], values, lacking) for part in expression.arguments]
    missing |= lacking
    if lacking:
        return expression.text
    value = values.get(expression.name, "")
    try:
        return envsubst_functions.call(expression.function, value, arguments)
    except ValueError as error:
        raise SubstitutionError(expression.text, str(error)) from None


# Returns the data of a ConfigMap in the namespace of the Flux Kustomization, None without one.
ConfigMapData = Callable[[str], Fields | None]


def values(spec: Fields, data_of: ConfigMapData) -> Values | None:
    """Return the values for what a Flux Kustomization with `spec` builds; None without variables.

    Secrets are only in the cluster, and so is a ConfigMap that `data_of` does not know.
    Raises CommandError.
    """
    post_build = mapping_at(spec, "postBuild")
    by_name: dict[str, str] = {}
    are_complete = True
    for source in mappings_in(post_build.get("substituteFrom")):
        data = data_of(str(source.get("name"))) if source.get("kind") == "ConfigMap" else None
        are_complete &= data is not None
        by_name |= _texts(data or {})
    by_name |= _texts(mapping_at(post_build, "substitute"))
    for name in by_name:
        if not re.fullmatch(VARIABLE_NAME, name):
            raise CommandError(
                f"postBuild: {name} is not the name of a variable; use letters, digits and '_'"
            )
    # Without any value Flux leaves the objects as they are.
    is_always = "postBuild" in spec and post_build.get("substituteStrategy") == "Always"
    if not by_name and are_complete and not is_always:
        return None
    return Values(by_name=by_name, are_complete=are_complete)


def _texts(data: Fields) -> dict[str, str]:
    return {str(key): str(value).replace("\n", "") for key, value in data.items()}
