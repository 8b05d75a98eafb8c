"""Commit messages, and the order in which files may be committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.config.models import Stack
from fleet.config.tenant import tenants_of
from fleet.render import stages
from fleet.render.layout import COMPONENTS_FILE, ENTRYPOINT, TENANTS


def messages(stack: Stack, files: Mapping[str, str]) -> dict[str, str]:
    """Return a commit message for every file: which stack, and what the file says now.

    A message is part of what the GitHub provider compares, so it changes only when its text does.
    """
    contents = {
        f"{stack.path}/{stage.value}/kustomization.yaml": ", ".join(e.path for _, e in pairs)
        for stage, pairs in stages.entries_by_stage(stack).items()
    }
    contents[f"{stack.path}/{TENANTS}/{ENTRYPOINT}"] = ", ".join(t.name for t in tenants_of(stack))
    contents[f"{stack.path}/{COMPONENTS_FILE}"] = f"Flux {stack.config.flux.version}"
    return {
        path: f"{stack.name}: {path.removeprefix(stack.path + '/')}"
        + (f" ({contents[path]})" if path in contents else "")
        for path in files
    }


def waves(stack: Stack, paths: Sequence[str]) -> list[list[str]]:
    """Return the paths of a tree in the order in which they may be committed.

    What is referenced comes before what references it, so that every commit builds: lists, Flux's
    manifests and teams, then what lists those, then the stages, then the entrypoint.
    """
    order: tuple[list[str], ...] = ([], [], [], [])
    for path in sorted(paths):
        relative = path.removeprefix(f"{stack.path}/")
        if relative == ENTRYPOINT:
            order[3].append(path)
        elif "/" not in relative:
            order[2].append(path)
        elif relative in (f"flux-system/{ENTRYPOINT}", f"{TENANTS}/{ENTRYPOINT}"):
            order[1].append(path)
        else:
            order[0].append(path)
    return [wave for wave in order if wave]
