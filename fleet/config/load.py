"""Loads stacks: reads `Pulumi.yaml` and the stack files, and validates them strictly, once.

The files are read here and not by Pulumi's engine, so that `fleet render` and `fleet check` use the
same text as `pulumi up`, without an engine, a network or credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fleet.config import (
    definitions,
    entry_rules,
    esc,
    kubeconfigs,
    move_rules,
    outlines,
    stack_files,
    tenant_rules,
    valid_parts,
)
from fleet.config.base import DNS_LABEL
from fleet.config.entry_rules import Folders
from fleet.config.keys import key_at
from fleet.config.kubeconfigs import Clusters
from fleet.config.models import Stack
from fleet.config.outlines import StackOutline
from fleet.config.problem import problem
from fleet.config.stack_files import FileValues
from fleet.errors import ConfigError, NoClustersError


def stack(root: Path, name: str) -> Stack:
    """Read and validate one stack. Raises ConfigError with all problems of the stack."""
    return _load(_checkout(root), name)


def stacks(root: Path) -> list[Stack]:
    """Read and validate all stacks in `root`. Raises ConfigError with all problems of all."""
    checkout = _checkout(root)
    if not checkout.own:
        raise NoClustersError([f"{root}: no Pulumi.<stack>.yaml here; add one for each cluster"])
    stacks: list[Stack] = []
    problems: list[str] = []
    for name in checkout.own:
        try:
            stacks.append(_load(checkout, name))
        except ConfigError as error:
            problems += error.problems
    if problems:
        # Every stack reports the problems of Pulumi.yaml; one line for each is enough.
        raise ConfigError(list(dict.fromkeys(problems)))
    return stacks


@dataclass(frozen=True, kw_only=True)
class _Checkout:
    """All files of a checkout that a stack is validated with, read once."""

    root: Path
    shared: FileValues
    own: Mapping[str, FileValues]
    outlines: Mapping[str, StackOutline]
    clusters: Clusters
    folders: Folders

    @cached_property
    def namespace_folders(self) -> Mapping[str, str]:
        """The folder of the shared definition that creates each namespace."""
        return definitions.namespace_folders(self.root)


def _checkout(root: Path) -> _Checkout:
    own = {
        name: stack_files.own(root, stack_files.own_file(name)) for name in stack_files.names(root)
    }
    found = {name: outlines.outline(name, values) for name, values in own.items()}
    contexts = {name: stack.cluster for name, stack in found.items()}
    return _Checkout(
        root=root,
        shared=stack_files.shared(root),
        own=own,
        outlines=found,
        clusters=Clusters(kubeconfigs.addresses(root, contexts)),
        folders=Folders(root),
    )


def _load(checkout: _Checkout, name: str) -> Stack:
    file = stack_files.own_file(name)
    if text := _name_problem(checkout, name):
        raise ConfigError([text])
    shared, own = checkout.shared, checkout.own[name]
    problems = [*shared.problems, *own.problems]
    if shared.values is None or own.values is None:
        raise ConfigError(problems)
    completed = esc.with_secrets(own)
    problems += completed.problems
    values = stack_files.merged(shared.values, completed.values)
    files = stack_files.files_of(shared.values, completed.values, file)
    found = valid_parts.validate(values, files, file)
    outline = checkout.outlines[name]
    others = (other for other in checkout.outlines.values() if other.name != name)
    problems += found.problems
    problems += entry_rules.problems(checkout.folders, outline, found)
    problems += tenant_rules.problems(outline, found, others, lambda: checkout.namespace_folders)
    problems += _shared_clusters(checkout, name)
    if problems:
        raise ConfigError(problems)
    stack = Stack(name=name, file=file, config=found.config())
    if problems := [*move_rules.problems(stack, checkout.own)]:
        raise ConfigError(problems)
    return stack


def _name_problem(checkout: _Checkout, name: str) -> str | None:
    file = stack_files.own_file(name)
    if not re.fullmatch(DNS_LABEL, name):
        return (
            f"{file}: stack name {name!r} cannot be a folder and a DNS label; "
            "use lower-case letters, digits and '-', at most 63, such as prod-us-east-1"
        )
    if (checkout.root / file).is_file():
        return None
    if (checkout.root / f"Pulumi.{name}.yml").is_file():
        return f"Pulumi.{name}.yml: is not read; rename it to {file}"
    return (
        f"{file}: no such file in {checkout.root}; stacks here: {', '.join(checkout.own) or 'none'}"
    )


def _shared_clusters(checkout: _Checkout, name: str) -> Iterator[str]:
    # Two stacks on one cluster would overwrite each other at every run.
    for other in checkout.clusters.others(name):
        yield problem(
            stack_files.own_file(name),
            key_at(("cluster", "context")),
            f"{checkout.clusters.addresses[name].context!r} is also the cluster of "
            f"{stack_files.own_file(other)}; keep one stack for each cluster",
        )
