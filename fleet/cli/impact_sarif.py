"""The impact of a change as SARIF 2.1.0, at the lines that cause it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet.changes.change_notes import Rule
from fleet.changes.impact import Change, Impact
from fleet.changes.impact_groups import groups
from fleet.changes.object_changes import Kind
from fleet.cli import sarif
from fleet.cli.impact_text import refusal_lines, when
from fleet.inventory.finding import Place, listed

_MAX_FIELDS = 5
_TEXTS = {
    **{f"object-{kind.value}": f"An object of a cluster is {kind.value}" for kind in Kind},
    Rule.DELETED.value: "An object is deleted",
    Rule.TAKEN.value: "Deleting an object takes others with it",
    Rule.RECREATED.value: "An object may be deleted and made again",
    Rule.REFUSED.value: "A field that cannot be changed is changed",
    Rule.REINSTALLED.value: "Helm uninstalls a release and installs it again",
    Rule.SUSPEND.value: "Something is suspended or resumed",
    Rule.PRUNE.value: "Flux deletes other objects than before",
    Rule.STAYS.value: "An object stays in the cluster when it leaves the tree",
    Rule.MOVED.value: "An object moves to another Flux Kustomization",
    "policy-refusal": "A policy of a cluster refuses an object",
    "not-compared": "A part of a cluster could not be compared",
}


def as_dict(found: Impact) -> dict[str, Any]:
    """Return the log. A change that several clusters have is one result."""
    return sarif.log(_TEXTS, [*_changes(found), *_refusals(found), *_problems(found)])


def _changes(found: Impact) -> Iterator[dict[str, Any]]:
    clusters: dict[tuple[Change, str], list[str]] = {}
    for group in groups(found):
        for change in group.first.changes:
            # Without a source, the result is at the stack file of one cluster.
            key = (change, "" if change.sources else group.first.file)
            names = clusters.setdefault(key, [])
            names += [cluster.name for cluster in group.clusters]
    moments = {
        change: when(change.moment, cluster)
        for cluster in found.clusters
        for change in cluster.changes
    }
    for (change, file), names in clusters.items():
        rule = _rule(change)
        text = f"{change.found.object} in {listed(names)} is {change.found.kind.value} "
        details = [note.text for note in change.found.notes]
        details += [str(field) for field in change.found.fields[:_MAX_FIELDS]]
        message = f"{text}{moments[change]}" + (f": {'; '.join(details)}" if details else "")
        places = [Place(file=source.path, line=source.line) for source in change.sources]
        first = Place(file=file, line=1)
        yield sarif.result(rule, _level(change), message, places or [first])


def _refusals(found: Impact) -> Iterator[dict[str, Any]]:
    for cluster in found.clusters:
        for line in refusal_lines(cluster):
            place = Place(file=cluster.file, line=1)
            yield sarif.result("policy-refusal", "error", f"{cluster.name}: {line}", [place])


def _problems(found: Impact) -> Iterator[dict[str, Any]]:
    for cluster in found.clusters:
        for problem in cluster.problems:
            place = Place(file=cluster.file, line=1)
            yield sarif.result("not-compared", "error", f"{cluster.name}: {problem}", [place])


def _rule(change: Change) -> str:
    notes = sorted(change.found.notes, key=lambda note: not note.is_severe)
    return notes[0].rule.value if notes else f"object-{change.found.kind.value}"


def _level(change: Change) -> str:
    notes = change.found.notes
    if any(note.is_severe for note in notes):
        return "error"
    return "warning" if notes else "note"
