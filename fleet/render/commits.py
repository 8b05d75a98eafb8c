"""Commit messages of a tree's files."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.config.models import Stack
from fleet.config.tenant import tenants_of
from fleet.render import layout, stages


def commit_messages(stack: Stack, files: Mapping[str, str]) -> dict[str, str]:
    """Return the commit message of each file: the stack, the file and a summary of its content.

    The GitHub provider commits a file again when its message changes, so a message may change
    only together with the file's text.
    """
    summaries = {
        f"{stage.value}/{layout.KUSTOMIZATION}": ", ".join(entry.path for _, entry in pairs)
        for stage, pairs in stages.entries_by_stage(stack).items()
    }
    summaries[layout.TENANTS_LIST] = ", ".join(tenant.name for tenant in tenants_of(stack))
    summaries[layout.COMPONENTS_FILE] = f"Flux {stack.config.flux.version}"
    messages: dict[str, str] = {}
    for path in files:
        name = path.removeprefix(f"{stack.path}/")
        summary = f" ({summaries[name]})" if name in summaries else ""
        messages[path] = f"{stack.name}: {name}{summary}"
    return messages
