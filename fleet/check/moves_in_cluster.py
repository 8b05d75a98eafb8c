"""The moves between Flux Kustomizations that a run of `pulumi up` would cause in its cluster."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fleet.config.models import Stack
from fleet.identity.inventories import Inventories
from fleet.inventory import build
from fleet.inventory.deliveries import deliveries


def problems(root: Path, stack: Stack, inventories: Inventories) -> list[str]:
    """Return a line for each move in which Flux could delete an object of the cluster.

    What Flux has now is read from the cluster, because a commit may not have reached it yet.
    A tree that does not build could hide a move, so its problems are returned as well.
    Raises FleetError.
    """
    with tempfile.TemporaryDirectory(prefix="fleet-moves-") as folder:
        repository = build.pack(root, Path(folder) / "repository")
        cluster = build.build_in(repository, stack, None)
    if not cluster.is_complete:
        return [str(finding) for finding in cluster.findings]
    return [
        f"{stack.file}: {', '.join(move.names)}: {move.problem}"
        for move in inventories.moves(deliveries(cluster.objects))
    ]
