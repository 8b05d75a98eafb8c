"""The stages in which Flux applies a cluster's entries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from fleet.config.models import Entry, Stack


class Stage(str, Enum):
    """A set of entries that Flux applies together, once all earlier stages are healthy.

    Policies need a stage of their own. Flux applies nothing of a stage in which one dry-run
    fails, and theirs fails until the controller with their CRDs is running.
    """

    INFRA = "infra"
    POLICIES = "policies"
    APPS = "apps"


# Entries in these folders of infrastructure/ have a stage of their own; all others are infra.
_STAGE_OF_FOLDER: Mapping[str, Stage] = {"policies": Stage.POLICIES}


def entries_by_stage(stack: Stack) -> dict[Stage, list[tuple[str, Entry]]]:
    """Return (shared folder, entry) pairs by stage, in order; a stage without entries is absent."""
    pairs: dict[Stage, list[tuple[str, Entry]]] = {stage: [] for stage in Stage}
    for entry in stack.config.infrastructure:
        stage = _STAGE_OF_FOLDER.get(entry.path.split("/")[0], Stage.INFRA)
        pairs[stage].append(("infrastructure", entry))
    pairs[Stage.APPS] = [("apps", entry) for entry in stack.config.apps]
    return {stage: found for stage, found in pairs.items() if found}
