"""Questions to the model of a checkout, in short."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from fleet.inventory import model
from fleet.provenance.link import Link
from fleet.provenance.provenance import Provenance
from fleet.questions import names, why
from fleet.questions.things import Thing, Things
from tests.inventory.support import install_manifests
from tests.support import REPOSITORY, TENANCY


@contextmanager
def things_of(root: Path) -> Iterator[Things]:
    """Yield the things of a checkout. Those that no test writes to are read once."""
    if root in (REPOSITORY, TENANCY):
        yield _read_once(root)
        return
    with model.of_checkout(root, install_manifests, lambda _: None) as fleet:
        yield Things(fleet=fleet, provenance=Provenance(fleet=fleet))


@cache
def _read_once(root: Path) -> Things:
    stack = ExitStack()
    atexit.register(stack.close)
    fleet = stack.enter_context(model.of_checkout(root, install_manifests, lambda _: None))
    return Things(fleet=fleet, provenance=Provenance(fleet=fleet))


def chain(root: Path, cluster: str, name: str) -> tuple[Link, ...]:
    """Return the chain of the only object that a name fits in a cluster."""
    with things_of(root) as things:
        ((_, links),) = [pair for found in why.why(things, cluster, name) for pair in found.chains]
    return links


def shown(links: tuple[Link, ...]) -> list[str]:
    """Return the links as a person sees them."""
    return [
        line
        for link in links
        for line in (f"{link.place} {link.text}", *(f"  {change}" for change in link.changes))
    ]


def fitting(root: Path, name: str) -> list[Thing]:
    """Return what a name fits in a checkout."""
    with things_of(root) as things:
        return names.fitting(things, name)
