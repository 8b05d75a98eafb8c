"""The stages in which Flux applies a cluster's entries."""

from __future__ import annotations

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


def entries_by_stage(stack: Stack) -> dict[Stage, list[tuple[str, Entry]]]:
    """Return (shared folder, entry) pairs by stage, in order; a stage without entries is absent."""
    infrastructure = [("infrastructure", entry) for entry in stack.config.infrastructure]
    entries = {
        Stage.INFRA: [pair for pair in infrastructure if not _is_policy(pair[1])],
        Stage.POLICIES: [pair for pair in infrastructure if _is_policy(pair[1])],
        Stage.APPS: [("apps", entry) for entry in stack.config.apps],
    }
    return {stage: pairs for stage, pairs in entries.items() if pairs}


def _is_policy(entry: Entry) -> bool:
    return entry.path.split("/")[0] == "policies"
