"""Commit messages of a tree's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def path_waves(stack: Stack, paths: Iterable[str]) -> list[list[str]]:
    """Return the paths of a tree in waves, to be committed one after the other.

    A file is in a later wave than all files that it refers to, so Flux can build every commit.
    """
    waves: tuple[list[str], ...] = ([], [], [], [], [])
    for path in sorted(paths):
        waves[_wave_number(path.removeprefix(f"{stack.path}/"))].append(path)
    return [wave for wave in waves if wave]


def _wave_number(name: str) -> int:
    if name == layout.ENTRYPOINT:
        return 4
    if "/" not in name:  # A stage's Flux Kustomization refers to the stage's folder.
        return 3
    file = name.partition("/")[2]
    if file == layout.KUSTOMIZATION:  # It lists the files of its folder.
        return 2
    # A rendered Flux Kustomization refers to the folder of what it builds, which has its own list.
    return 0 if file.startswith(f"{layout.NESTED}/") else 1
