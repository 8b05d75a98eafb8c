"""The impact of a change as a comment of a pull request: short first, all details folded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fleet.changes.impact import Impact, Moment
from fleet.changes.impact_groups import Group, at, counted, groups, summary
from fleet.cli.fleets import shortened
from fleet.cli.impact_text import group_lines, heading, refusal_lines, shared_file, when
from fleet.printable import printable

# GitHub refuses a comment of more than 65,536 characters.
_MAX_LENGTH = 60_000
_MAX_ROWS = 20
_MAX_WARNINGS = 15


def text(found: Impact, title: str, exceeded: Sequence[str]) -> str:
    """Return the comment; `exceeded` are the limits that the impact exceeds, one line each."""
    all_groups = groups(found)
    head = [
        "### Impact",
        "",
        f"{_code(title)} {_plain(summary(found))}",
        *(f"\n**{_plain(line)}**" for line in exceeded),
        *_table(all_groups),
        *_warnings(all_groups),
        *_files(found),
        *_unknown(found),
    ]
    return _with_details(_fitting("\n".join(head)), all_groups)


def _table(all_groups: Sequence[Group]) -> Iterator[str]:
    if not all_groups:
        return
    yield ""
    yield "| clusters | environment | at merge | at the next `pulumi up` | deleted |"
    yield "|---|---|---|---|---|"
    for group in all_groups[:_MAX_ROWS]:
        first = group.first
        cells = (
            _plain(group.names),
            _plain(group.environments),
            counted(at(first.changes, Moment.MERGE)),
            counted(at(first.changes, Moment.UP)),
            str(len(first.deletions)),
        )
        yield f"| {' | '.join(cells)} |"
    if len(all_groups) > _MAX_ROWS:
        yield f"\n{len(all_groups) - _MAX_ROWS} more groups of clusters are not shown."


def _warnings(all_groups: Iterable[Group]) -> Iterator[str]:
    found = [line for group in all_groups for line in _warnings_of(group)]
    if found:
        yield ""
        yield "> [!WARNING]"
        yield from (f"> - {line}" for line in found[:_MAX_WARNINGS])
        if len(found) > _MAX_WARNINGS:
            yield f"> - {len(found) - _MAX_WARNINGS} more, in the details"


def _warnings_of(group: Group) -> Iterator[str]:
    for problem in group.first.problems:
        yield f"{_plain(group.names)}: {_plain(problem)}"
    for line in refusal_lines(group.first):
        yield f"{_plain(group.names)}: {_plain(line)}"
    for change in group.first.changes:
        for note in change.found.notes:
            if note.is_severe:
                moment = when(change.moment, group.first)
                name = f"{_code(str(change.found.object))} {_plain(moment)}"
                yield f"{_plain(group.names)}: {name}: {_plain(note.text)}"


def _files(found: Impact) -> Iterator[str]:
    files = [file for file in found.files if file.at_merge or file.at_up]
    if files:
        yield ""
        yield from (f"- {_plain(shared_file(file))}" for file in files[:_MAX_ROWS])
        if len(files) > _MAX_ROWS:
            yield f"- {len(files) - _MAX_ROWS} more files"


def _unknown(found: Impact) -> Iterator[str]:
    for title, lines in (
        ("not compared", shortened(found.unknown)),
        ("not judged", found.not_judged),
    ):
        yield from (f"- {title}: {_plain(line)}" for line in lines[:_MAX_ROWS])
        if len(lines) > _MAX_ROWS:
            yield f"- {title}: {len(lines) - _MAX_ROWS} more"


def _fitting(head: str) -> str:
    """Return all lines that fit into a comment; names in them can have any length."""
    return head if len(head) <= _MAX_LENGTH else head[:_MAX_LENGTH].rpartition("\n")[0]


def _with_details(head: str, all_groups: Iterable[Group]) -> str:
    parts = [head]
    length = len(head)
    for group in all_groups:
        title = f"{_plain(heading(group))}: {counted(group.first.changes)}"
        lines = "\n".join(map(printable, group_lines(group)))
        fence = _fence(lines)
        part = (
            f"\n<details><summary>{title}</summary>\n\n{fence}text\n{lines}\n{fence}\n\n</details>"
        )
        length += len(part)
        if length > _MAX_LENGTH:
            parts.append("\nMore details do not fit here; run `fleet impact` in a checkout.")
            break
        parts.append(part)
    return "\n".join(parts) + "\n"


def _fence(content: str) -> str:
    """Return a fence that is longer than any in the content, so that nothing ends it."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    return "`" * max(3, longest + 1)


def _code(content: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", content)), default=0) + 1)
    return f"{fence}{printable(content)}{fence}".replace("|", "\\|")


def _plain(content: str) -> str:
    """Return a text that Markdown shows as it is; code keeps its backticks."""
    return re.sub(r"([\\*_\[\]<>|#~@])", r"\\\1", printable(content))
