"""The stages in which a cluster's entries are delivered."""

from __future__ import annotations

from enum import Enum

from fleet.config.models import Entry, Stack


class Stage(str, Enum):
    """What is delivered together; each stage waits for the ones before it.

    Policies have one of their own: their dry-run fails until the controller that brings their
    CRDs is running, and in one stage with it nothing at all would be applied.
    """

    INFRA = "infra"
    POLICIES = "policies"
    APPS = "apps"


def entries_by_stage(stack: Stack) -> dict[Stage, list[tuple[str, Entry]]]:
    """Return (shared folder, entry) pairs by stage, in order, without stages that have none."""
    infrastructure = [("infrastructure", e) for e in stack.config.infrastructure]
    found = {
        Stage.INFRA: [pair for pair in infrastructure if not _is_policy(pair[1])],
        Stage.POLICIES: [pair for pair in infrastructure if _is_policy(pair[1])],
        Stage.APPS: [("apps", e) for e in stack.config.apps],
    }
    return {stage: pairs for stage, pairs in found.items() if pairs}


def _is_policy(entry: Entry) -> bool:
    return entry.path.split("/")[0] == "policies"
