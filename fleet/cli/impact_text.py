"""The impact of a change as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.changes.impact import Change, ClusterImpact, Impact, Moment, SharedFile
from fleet.changes.impact_groups import Group, at, groups, summary
from fleet.changes.object_changes import Kind
from fleet.cli.colours import Colour, coloured
from fleet.cli.fleets import shortened
from fleet.inventory.finding import listed

MARKS = {
    Kind.ADDED: "+", Kind.CHANGED: "~", Kind.MOVED: ">", Kind.REMOVED: "-", Kind.RECREATED: "!",
}  # fmt: skip
_COLOURS = {
    "+": Colour.GREEN, "~": Colour.YELLOW, ">": Colour.YELLOW, "-": Colour.RED, "!": Colour.RED,
}  # fmt: skip


def lines(found: Impact, title: str) -> Iterator[str]:
    """Yield the lines of the report."""
    yield coloured(f"{title} {summary(found)}", Colour.BOLD)
    files = [file for file in found.files if file.at_merge or file.at_up]
    if files:
        yield ""
        yield "Shared files:"
    for file in files:
        yield coloured(f"  {shared_file(file)}", None)
    if found.unknown:
        yield ""
        yield "Not compared:"
        yield from (coloured(f"  {line}", None) for line in shortened(found.unknown))
    if found.not_judged:
        yield ""
        yield "Not judged:"
        yield from (coloured(f"  {line}", None) for line in found.not_judged)
    for group in groups(found):
        yield ""
        yield coloured(heading(group), Colour.BOLD)
        for line in group_lines(group):
            mark = line.lstrip()[:1]
            yield f"  {coloured(line, _COLOURS.get(mark))}"


def shared_file(file: SharedFile) -> str:
    """Return the reach of a shared file in one line."""
    parts = [f"{listed(file.at_merge)} when it is merged"] if file.at_merge else []
    parts += [f"{listed(file.at_up)} at the next `pulumi up` of each"] if file.at_up else []
    environments = f"environments {', '.join(file.environments)}"
    readers = f"read by {listed(file.readers)}"
    return f"{file.path}:{file.line} reaches {' and '.join(parts)} ({environments}; {readers})"


def heading(group: Group) -> str:
    """Return the clusters of a group, and what they have in common."""
    first = group.first
    definitions = "rendered" if first.is_rendered else "referenced"
    state = ", new" if first.is_new else ", removed" if first.is_removed else ""
    how = f"; {definitions}, follows {first.branch}" if first.has_stack else ""
    return f"{group.names} ({group.environments}{how}{state})"


def group_lines(group: Group) -> Iterator[str]:
    """Yield all changes of a group."""
    first = group.first
    if first.is_removed and not first.has_stack:
        yield "! its entrypoint is removed: its Flux finds nothing to apply, and fails"
    elif first.is_removed:
        yield (
            "! its stack file is removed: the cluster keeps its tree until `pulumi destroy`, and "
            "no `pulumi up` can run"
        )
    for problem in first.problems:
        yield f"! {problem}"
    yield from (f"! {line}" for line in refusal_lines(first))
    for moment in Moment:
        yield from _moment_lines(at(first.changes, moment), first)


def refusal_lines(cluster: ClusterImpact) -> Iterator[str]:
    """Yield a line for each policy that refuses objects because of the change."""
    for refusal in cluster.refusals:
        yield f"{when(refusal.moment, cluster)}: {refusal.found}"


def _moment_lines(changes: Sequence[Change], cluster: ClusterImpact) -> Iterator[str]:
    for change in changes:
        found = change.found
        tenant = f", tenant {found.tenant}" if found.tenant else ""
        name = f"{found.object} ({found.kustomization}{tenant})"
        yield f"{MARKS[found.kind]} {when(change.moment, cluster)}: {found.kind.value}: {name}"
        yield from (f"    {field}" for field in found.fields)
        for note in found.notes:
            yield f"    {'! ' if note.is_severe else ''}{note.text}"
        if change.sources:
            named = listed([f"{source.path}:{source.line}" for source in change.sources])
            yield f"    from {named}"


def when(moment: Moment, cluster: ClusterImpact) -> str:
    """Return the moment at which a change is live in a cluster."""
    if moment is Moment.MERGE:
        return "at merge"
    return "at its first `up`" if cluster.is_new else "at its next `up`"
