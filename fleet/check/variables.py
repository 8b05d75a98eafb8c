"""The rules about variables: each has a value, each fact is used, and no text is one by mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleet.check.built_object import BuiltObject
from fleet.check.findings import Finding
from fleet.check.variable_sources import Sources
from fleet.config import stack_files
from fleet.config.keys import key_at
from fleet.config.models import RESERVED_FACTS, Stack
from fleet.config.problem import problem
from fleet.kube import substitution
from fleet.kube.envsubst import Expression
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.substitution import SWITCHED_OFF, Values, VariableError
from fleet.render import facts

_OFF = ": ".join(*SWITCHED_OFF.items())
_LITERAL = f"if it is meant as a text, annotate the object with {_OFF}"


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


def use_of(path: str, spec: Fields, manifest: Manifest, values: Values | None) -> VariableUse:
    """Return the variables of an object that a Flux Kustomization with `spec` builds.

    Raises CommandError.
    """
    template = substitution.template(manifest)
    if not template.has_variables:
        return VariableUse(path=path, manifest=manifest)
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


def data_of(objects: Iterable[BuiltObject], namespace: str, name: str) -> Fields | None:
    """Return the data of a ConfigMap of the cluster, None without it."""
    wanted = ("v1", "ConfigMap", namespace, name)
    for built in objects:
        if (built.api_version, built.kind, built.namespace, built.name) == wanted:
            return mapping_at(built.manifest, "data")
    return None


def findings(
    root: Path, stack: Stack, uses: Iterable[VariableUse], known: Iterable[str]
) -> Iterator[Finding]:
    """Apply the rules to one cluster; `known` are the names of facts that any cluster has."""
    sources = Sources(root=root, stack=stack)
    names = {*known, *RESERVED_FACTS}
    for use in uses:
        # Flux's own manifests take no facts.
        for text, reason in _problems(stack, use, names) if use.path != stack.path else ():
            yield Finding(
                file=sources.place(use.path, text),
                object=str(object_id(use.manifest)),
                problem=f"{text} {reason}",
            )


def _problems(stack: Stack, use: VariableUse, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the text of each variable that breaks a rule, and the reason."""
    if not use.is_replaced:
        used = [found for found in use.expressions if found.name in names - {*RESERVED_FACTS}]
        for text in dict.fromkeys(found.text for found in used):
            yield text, _not_replaced(stack)
        return
    if use.refused:
        yield (
            use.refused,
            f"is no variable that Flux can read in {stack.path}; correct it, or {_LITERAL}",
        )
    for found in {found.text: found for found in use.expressions}.values():
        if found.name in use.missing and found.function not in substitution.DEFAULTS:
            yield found.text, _missing(stack, use, found.name in names)
        elif use.takes_facts and found.name not in names and found.name in use.in_files:
            yield (
                found.text,
                f"is in a text of several lines, and Flux replaces it in {stack.path} though no "
                f"cluster has the fact {found.name}; set it in fleet:facts, or {_LITERAL}",
            )


def _not_replaced(stack: Stack) -> str:
    if not stack.config.facts:
        return f"is a fact that {stack.path} does not have; set it in {stack.file}"
    return (
        f"is a fact, and the Flux Kustomization that applies the object in {stack.path} takes "
        f"none; add ConfigMap {facts.CONFIG_MAP} to its postBuild.substituteFrom, or {_LITERAL}"
    )


def _missing(stack: Stack, use: VariableUse, is_fact: bool) -> str:
    if not use.takes_facts:
        return f"has no value in {stack.path}; add it to postBuild, or {_LITERAL}"
    if is_fact:
        return f"has no value in {stack.path}; set it in {stack.file}, or give it a default"
    return f"has no value in {stack.path}; set it in fleet:facts, or {_LITERAL}"


def unused(root: Path, uses: Mapping[str, Sequence[VariableUse]]) -> Iterator[str]:
    """Yield a line for each fact that no cluster uses; `uses` has those of each stack."""
    names = {
        stack: {found.name for use in found_uses if use.takes_facts for found in use.expressions}
        for stack, found_uses in uses.items()
    }
    everywhere = {name for found in names.values() for name in found}
    files = [(stack_files.PROJECT_FILE, stack_files.shared(root).values, everywhere)]
    for stack, found in names.items():
        file = stack_files.own_file(stack)
        files.append((file, stack_files.own(root, file).values, found))
    for file, values, used in files:
        for name in mapping_at(values or {}, "facts"):
            if name not in used:
                line = stack_files.line_of(root / file, "facts", str(name))
                yield problem(
                    f"{file}:{line}", key_at(("facts", name)), "nothing uses it; remove it"
                )
