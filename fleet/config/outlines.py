"""An outline of every stack: what its own file tells about it, even if parts of it are invalid.

Other stacks need it, and an invalid stack must not stop a valid one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.config import stack_files
from fleet.config.base import DNS_LABEL
from fleet.config.git_urls import same_repository
from fleet.config.models import environment_of
from fleet.config.stack_files import FileValues


@dataclass(frozen=True, kw_only=True)
class TenantOutline:
    """One tenant of a stack; `repository` is the same text for all spellings of a URL."""

    name: str
    repository: str
    has_own_path: bool
    creates_repository: bool


@dataclass(frozen=True, kw_only=True)
class StackOutline:
    """One stack; `environment` and `cluster` (kubeconfig, context) are None if not readable."""

    name: str
    file: str
    environment: str | None
    cluster: tuple[str, str] | None
    tenants: tuple[TenantOutline, ...]


def read(root: Path) -> dict[str, StackOutline]:
    """Return the outlines of all stacks in `root`, by name."""
    return {
        name: outline(name, stack_files.own(root, stack_files.own_file(name)))
        for name in stack_files.names(root)
    }


def outline(name: str, own: FileValues) -> StackOutline:
    """Return the outline of the stack `name`, which sets `own` values."""
    values = own.values or {}
    cluster = _mapping(values.get("cluster"))
    environment = environment_of(name, cluster.get("environment"))
    readable = isinstance(environment, str) and re.fullmatch(DNS_LABEL, environment)
    tenants = values.get("tenants")
    outlines = (_tenant(_mapping(item)) for item in (tenants if isinstance(tenants, list) else ()))
    return StackOutline(
        name=name,
        file=own.file,
        environment=environment if readable else None,
        cluster=_address(cluster),
        tenants=tuple(tenant for tenant in outlines if tenant),
    )


def _tenant(item: Mapping[str, Any]) -> TenantOutline | None:
    name, url = item.get("name"), _mapping(item.get("repository")).get("url")
    if not isinstance(name, str):
        return None
    return TenantOutline(
        name=name,
        repository=same_repository(url) if isinstance(url, str) else "",
        has_own_path="path" in item,
        creates_repository=item.get("create") is True,
    )


def _address(cluster: Mapping[str, Any]) -> tuple[str, str] | None:
    kubeconfig, context = cluster.get("kubeconfig"), cluster.get("context")
    if not (isinstance(kubeconfig, str) and isinstance(context, str)):
        return None
    if not kubeconfig.isprintable():
        return None  # The model reports it, and a file name cannot have such characters.
    # Path.expanduser raises for an unknown user; this leaves the `~` as it is.
    return os.path.expanduser(kubeconfig), context  # noqa: PTH111


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
