"""The decisions: `Pulumi.yaml` and `Pulumi.<stack>.yaml`, read and validated once, strictly.

The files are read here and not through the engine, so that `fleet render` and `fleet check` decide
from the very same text as `pulumi up`, without engine, network or credentials.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet.config import definitions, entry_rules, git_urls, messages, stack_files, tenant_rules
from fleet.config.base import DNS_LABEL
from fleet.config.models import Stack, StackConfig
from fleet.config.stack_files import PROJECT_FILE, Values
from fleet.errors import ConfigError


def stack(root: Path, name: str) -> Stack:
    """Read and validate one stack. Raises ConfigError with every problem found."""
    return _load(root, name, stack_files.all_own(root), definitions.namespace_homes(root))


def stacks(root: Path) -> list[Stack]:
    """Read and validate every stack in `root`. Raises ConfigError with every problem of all."""
    owns = stack_files.all_own(root)
    if not owns:
        raise ConfigError([f"{root}: no Pulumi.<stack>.yaml here; add one for each cluster"])
    homes = definitions.namespace_homes(root)
    stacks: list[Stack] = []
    problems: list[str] = []
    for name in owns:
        try:
            stacks.append(_load(root, name, owns, homes))
        except ConfigError as error:
            problems += error.problems
    if problems:
        # Problems of the shared file would otherwise be told once a stack.
        raise ConfigError(list(dict.fromkeys(problems)))
    return stacks


def _load(root: Path, name: str, owns: Mapping[str, Values], homes: Mapping[str, str]) -> Stack:
    file = f"Pulumi.{name}.yaml"
    if not re.fullmatch(DNS_LABEL, name):
        raise ConfigError(
            [
                f"{file}: stack name {name!r} cannot be a folder and a DNS label; "
                "use lower-case letters, digits and '-', at most 63, as in prod-us-east-1"
            ]
        )
    if not (root / file).is_file():
        if (root / f"Pulumi.{name}.yml").is_file():
            raise ConfigError([f"Pulumi.{name}.yml: is not read; rename it to {file}"])
        known = ", ".join(owns) or "none"
        raise ConfigError([f"{file}: no such file in {root}; stacks here: {known}"])
    problems: list[str] = []
    try:
        shared = stack_files.shared(root, problems)
        own = stack_files.own(root, file, problems)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    values = shared | own
    files = dict.fromkeys(shared, PROJECT_FILE) | dict.fromkeys(own, file)
    config = _validate(values, file, files, problems)
    problems += entry_rules.problems(root, name, file, values)
    others = {other: theirs for other, theirs in owns.items() if other != name}
    problems += tenant_rules.problems(name, file, values, homes, _creators(others))
    problems += _collisions(file, own, others)
    if config is None or problems:
        raise ConfigError(problems)
    return Stack(name=name, file=file, config=config)


def _validate(
    values: Mapping[str, Any], file: str, files: Mapping[str, str], problems: list[str]
) -> StackConfig | None:
    """The model, or None and its problems. `files` tells which file set a key."""
    try:
        return StackConfig.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = files.get(str(detail["loc"][0]), file)
            problems.append(
                messages.line(where, values, detail["loc"], detail["type"], detail["msg"])
            )
        return None


def _collisions(file: str, own: Values, others: Mapping[str, Values]) -> list[str]:
    """Two stacks on one cluster would take turns in making it theirs."""
    mine = _address(own)
    return [
        f"{file}: fleet:cluster.context: {mine[1]!r} is also Pulumi.{other}.yaml's; "
        "one cluster has one stack"
        for other, theirs in others.items()
        if mine is not None and _address(theirs) == mine
    ]


def _address(own: Values) -> tuple[str, str] | None:
    """Kubeconfig and context of a stack, None of one that does not tell."""
    cluster = own.get("cluster")
    if isinstance(cluster, dict):
        kubeconfig, context = cluster.get("kubeconfig"), cluster.get("context")
        if isinstance(kubeconfig, str) and isinstance(context, str):
            return os.path.expanduser(kubeconfig), context  # noqa: PTH111 - never raises
    return None


def _creators(others: Mapping[str, Values]) -> dict[str, str]:
    """The repositories that stacks create, as `tenants.same_repository` has them: to the file."""
    found: dict[str, str] = {}
    for name, own in others.items():
        tenants = own.get("tenants")
        for tenant in tenants if isinstance(tenants, list) else ():
            if isinstance(tenant, dict) and tenant.get("create") is True:
                repository = tenant.get("repository")
                url = repository.get("url") if isinstance(repository, dict) else None
                found[git_urls.same_repository(str(url))] = f"Pulumi.{name}.yaml"
    return found
