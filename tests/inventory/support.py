"""The impact of changes in a small checkout with Git commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from fleet.changes import impact, revisions
from fleet.changes.impact import Change, ClusterImpact, Impact
from fleet.config import load
from fleet.config.models import Stack
from fleet.inventory import model
from fleet.inventory.model import Fleet
from fleet.process import run as run_program
from fleet.render import definition_build, rendered_cluster, tree
from tests.support import INSTALL_MANIFESTS, write


def git(root: Path, *args: str) -> str:
    """Run Git in a checkout and return its output."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return run_program(["git", *identity, *args], timeout=60, cwd=root)


def commit(root: Path, files: Mapping[str, str] | None = None) -> str:
    """Commit everything, with these files, and return the commit."""
    if not (root / ".git").exists():
        git(root, "init", "--quiet", "--initial-branch", "main")
    write(root, files or {})
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a change")
    return git(root, "rev-parse", "HEAD").strip()


def write_tree(root: Path, name: str) -> None:
    """Write the tree of a stack into the checkout, as `pulumi up` commits it."""
    stack = load.stack(root, name)
    with definition_build.reader(root) as definitions:
        rendered = rendered_cluster.render(definitions, stack)
    write(root, tree.render(stack, INSTALL_MANIFESTS, rendered))


def install_manifests(stacks: Sequence[Stack], _: Path) -> dict[str, str | None]:
    """Return the same install manifests for all stacks."""
    return {stack.name: INSTALL_MANIFESTS for stack in stacks}


def fleets(stack: ExitStack, root: Path, text: str = "") -> tuple[Fleet, Fleet]:
    """Return the fleets at both ends of a range."""
    found = revisions.range_of(root, text)
    before = model.of_commit(root, found.base, install_manifests, lambda _: None)
    after = (
        model.of_checkout(root, install_manifests, lambda _: None)
        if found.head is None
        else model.of_commit(root, found.head, install_manifests, lambda _: None)
    )
    return stack.enter_context(before), stack.enter_context(after)


def impact_of(root: Path, text: str = "") -> Impact:
    """Return the impact of a range, or of the working copy."""
    with ExitStack() as stack:
        before, after = fleets(stack, root, text)
        changed = revisions.changed_files(root, revisions.range_of(root, text))
        return impact.impact(before, after, changed)


def cluster(found: Impact, name: str = "dev") -> ClusterImpact:
    """Return the impact on one cluster."""
    return next(item for item in found.clusters if item.name == name)


def shown(found: ClusterImpact) -> list[str]:
    """Return the changes in short: moment, kind, object."""
    return [
        f"{change.moment.value} {change.found.kind.value} {change.found.object}"
        for change in found.changes
    ]


def only(found: ClusterImpact) -> Change:
    """Return the one change of a cluster."""
    (change,) = found.changes
    return change


def notes(change: Change) -> list[str]:
    """Return the texts of a change's notes."""
    return [note.text for note in change.found.notes]


def sources(change: Change) -> list[str]:
    """Return the lines that cause a change."""
    return [f"{source.path}:{source.line}" for source in change.sources]
