"""The rules about variables: each has a value, each fact is used, and no text is one by mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fleet.check.rules import Rule, finds
from fleet.check.variable_sources import Sources
from fleet.config import stack_files
from fleet.config.keys import key_at
from fleet.config.models import RESERVED_FACTS, Stack
from fleet.config.problem import problem
from fleet.inventory.finding import Finding
from fleet.inventory.variables import VariableUse
from fleet.kube import substitution
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import object_id
from fleet.kube.substitution import SWITCHED_OFF
from fleet.render import facts

_OFF = ": ".join(*SWITCHED_OFF.items())
_LITERAL = f"if it is meant as a text, annotate the object with {_OFF}"


@finds(Rule.VARIABLE)
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


def used_facts(uses: Iterable[VariableUse]) -> set[str]:
    """Return the names of the facts that the objects of a cluster use."""
    return {found.name for use in uses if use.takes_facts for found in use.expressions}


def unused(root: Path, names: Sequence[tuple[Stack, set[str]]]) -> Iterator[str]:
    """Yield a line for each fact that no cluster uses; `names` has those that each stack uses."""
    everywhere = {name for _, found in names for name in found}
    files = [(stack_files.PROJECT_FILE, stack_files.shared(root).values, everywhere)]
    for stack, found in names:
        if stack.config.facts.keys() - found:
            files.append((stack.file, stack_files.own(root, stack.file).values, found))
    for file, values, used in files:
        for name in mapping_at(values or {}, "facts"):
            if name not in used:
                line = stack_files.line_of(root / file, "facts", str(name))
                yield problem(
                    f"{file}:{line}", key_at(("facts", name)), "nothing uses it; remove it"
                )
