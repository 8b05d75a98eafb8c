"""Flux's install manifests for the commands that render trees."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fleet.config.models import Flux, Stack
from fleet.render import flux_release, layout


def by_stack(stacks: Iterable[Stack], root: Path) -> dict[str, str | None]:
    """Return the install manifests of each stack, None where they are missing.

    Prints one line to standard error for each release that is missing.
    """
    pairs = [(stack.name, stack.config.flux) for stack in stacks]
    found = {flux: _read_or_warn(flux, root) for flux in dict.fromkeys(flux for _, flux in pairs)}
    return {name: found[flux] for name, flux in pairs}


def _read_or_warn(flux: Flux, root: Path) -> str | None:
    try:
        return flux_release.read_for_review(flux, root)
    except flux_release.ManifestsMissingError as missing:
        print(f"{missing} ({layout.COMPONENTS_FILE} is left out)", file=sys.stderr)
        return None
