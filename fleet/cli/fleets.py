"""The fleets of two states of a checkout, for the commands that compare them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from fleet.changes.revisions import Range
from fleet.cli import install_manifests, progress
from fleet.errors import FleetError
from fleet.inventory import model
from fleet.inventory.model import Fleet
from fleet.kube import yaml_writer
from fleet.printable import printable

_FETCH = "run `fleet fetch`"
# With more releases than these, one line stands for all that wait for their charts.
_MAX_TO_FETCH = 5


def show_problems(fleet: Fleet) -> None:
    """Print a line for each thing that cannot be known here."""
    for line in shortened(model.problems(fleet)):
        print(printable(f"! {line}; its objects are missing here"), file=sys.stderr)
    for line in model.doubts(fleet):
        print(printable(f"! {line}; its objects may differ in the cluster"), file=sys.stderr)


def shortened(lines: Sequence[str]) -> list[str]:
    """Return lines with one for all that `fleet fetch` mends, if these are many."""
    to_fetch = [line for line in lines if line.endswith(_FETCH)]
    if len(to_fetch) <= _MAX_TO_FETCH:
        return list(lines)
    others = [line for line in lines if not line.endswith(_FETCH)]
    return [*others, f"{len(to_fetch)} HelmReleases are not rendered; {_FETCH}"]


def problems(fleet: Fleet) -> list[str]:
    """Return a line for each thing that cannot be known here."""
    return [*model.problems(fleet), *model.doubts(fleet)]


@contextmanager
def of_range(root: Path, revisions: Range) -> Iterator[tuple[Fleet, Fleet]]:
    """Yield the fleets at both ends of a range. Raises FleetError."""
    with ExitStack() as stack:
        stack.enter_context(yaml_writer.texts_kept_for(root))
        try:
            before = stack.enter_context(_of_commit(root, revisions.base))
        except FleetError as error:
            # The files of a commit have the same names as those of the checkout.
            lines = [_with_commit(line, revisions.base) for line in str(error).splitlines()]
            raise FleetError("\n".join(lines)) from None
        head = revisions.head
        after = stack.enter_context(of_checkout(root) if head is None else _of_commit(root, head))
        yield before, after


def of_checkout(root: Path) -> AbstractContextManager[Fleet]:
    """Return the context of the fleet of a checkout as it is, which raises FleetError."""
    return model.of_checkout(root, install_manifests.by_stack, progress.show)


def _of_commit(root: Path, commit: str) -> AbstractContextManager[Fleet]:
    return model.of_commit(root, commit, install_manifests.by_stack, progress.show)


def _with_commit(line: str, commit: str) -> str:
    return line if line.startswith(commit) else f"{commit}: {line}"
