"""Decisions about a cluster's identity that have done their work, so that they can go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.render import identity_file


def lines(root: Path, stacks: Iterable[Stack]) -> Iterator[str]:
    """Yield a line for each `replaces` and `adopts` that the tree in the checkout needs no more."""
    for stack in stacks:
        identity = _identity(root / identity_file.path(stack))
        cluster = stack.config.cluster
        if identity is None:
            continue
        done = (
            f"{stack.path} is for the cluster {identity}, so nothing is left to do; remove the key"
        )
        if cluster.replaces not in (None, identity):
            yield problem(stack.file, key_at(("cluster", "replaces")), done)
        if cluster.adopts == identity:
            text = f"{done}, so that Flux prunes again what leaves the tree"
            yield problem(stack.file, key_at(("cluster", "adopts")), text)


def _identity(file: Path) -> str | None:
    try:
        return identity_file.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
