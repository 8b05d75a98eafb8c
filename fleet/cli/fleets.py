"""The fleets of two states of a checkout, for the commands that compare them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from fleet.changes.revisions import Range
from fleet.cli import install_manifests, progress
from fleet.errors import FleetError
from fleet.inventory import finding, model
from fleet.inventory.finding import Finding
from fleet.inventory.model import Fleet


def show_problems(fleet: Fleet) -> None:
    """Print a line for each path or object that brings objects which are not known.

    Clusters with the same one share a line.
    """
    _show({cluster.name: cluster.problems for cluster in fleet.clusters.values()})


def show_unknown(fleet: Fleet) -> None:
    """Print a line for each object that brings others which are in no file of the repository."""
    _show({cluster.name: cluster.build.unknown for cluster in fleet.clusters.values()})


def _show(problems_by_cluster: Mapping[str, Sequence[Finding]]) -> None:
    for found, names in finding.shared(problems_by_cluster).items():
        print(f"! {names}: {found}; its objects are missing here", file=sys.stderr)


def problems(fleet: Fleet) -> list[str]:
    """Return a line for each path or object of a cluster whose objects are not known."""
    lines = (
        f"{cluster.name}: {found}"
        for cluster in fleet.clusters.values()
        for found in cluster.problems
    )
    return list(dict.fromkeys(lines))


@contextmanager
def of_range(root: Path, revisions: Range) -> Iterator[tuple[Fleet, Fleet]]:
    """Yield the fleets at both ends of a range. Raises FleetError."""
    with ExitStack() as stack:
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
