"""The impact of a change as JSON. The shape is in docs/impact.md, and keeps its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fleet.changes.impact import Change, ClusterImpact, Impact, NewRefusal, SharedFile
from fleet.changes.revisions import Range
from fleet.cli.objects_json import of_fields, of_id


def as_dict(found: Impact, revisions: Range, exceeded: Sequence[str]) -> dict[str, Any]:
    """Return the impact; `exceeded` are the limits that it exceeds, one line each."""
    return {
        "base": revisions.base,
        "head": revisions.head,
        "clusters": [_cluster(cluster) for cluster in found.clusters],
        "files": [_file(file) for file in found.files],
        "deletions": found.deletions,
        "unknown": list(found.unknown),
        "notJudged": list(found.not_judged),
        "exceeded": list(exceeded),
    }


def _cluster(cluster: ClusterImpact) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "environment": cluster.environment,
        "branch": cluster.branch,
        "definitions": "rendered" if cluster.is_rendered else "referenced",
        "isReached": cluster.is_reached,
        "isNew": cluster.is_new,
        "isRemoved": cluster.is_removed,
        "deletions": len(cluster.deletions),
        "changes": [_change(change) for change in cluster.changes],
        "refusals": [_refusal(refusal) for refusal in cluster.refusals],
        "problems": list(cluster.problems),
        "unknown": list(cluster.unknown),
    }


def _change(change: Change) -> dict[str, Any]:
    found = change.found
    return {
        "at": change.moment.value,
        "kind": found.kind.value,
        "object": of_id(found.object),
        "tenant": found.tenant or None,
        "kustomization": found.kustomization,
        "movedFrom": found.moved_from or None,
        "isDeleted": found.is_deleted,
        "fields": of_fields(found.fields),
        "notes": [
            {"rule": note.rule.value, "isSevere": note.is_severe, "text": note.text}
            for note in found.notes
        ],
        "sources": [{"file": source.path, "line": source.line} for source in change.sources],
    }


def _refusal(refusal: NewRefusal) -> dict[str, Any]:
    found = refusal.found
    return {
        "at": refusal.moment.value,
        "policy": found.policy,
        "objects": list(found.objects),
        "message": found.message,
        "consequences": list(found.consequences),
    }


def _file(file: SharedFile) -> dict[str, Any]:
    return {
        "file": file.path,
        "line": file.line,
        "readers": list(file.readers),
        "atMerge": list(file.at_merge),
        "atUp": list(file.at_up),
        "environments": list(file.environments),
    }
