"""The trees that `pulumi up` has committed, as they are in a checkout or in a commit.

Flux applies these. What a stack file says beyond its tree waits for the next `up`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.inventory import build
from fleet.inventory.build import ClusterBuild
from fleet.inventory.model import Cluster, Fleet
from fleet.render import header, layout


def texts(fleet: Fleet, path: str) -> Mapping[str, str] | None:
    """Return the files of the tree at a path, None if the fleet's files have no such tree."""
    found = {
        file.relative_to(fleet.root).as_posix(): file.read_text("utf-8", "replace")
        for file in sorted((fleet.root / path).rglob("*"))
        if file.is_file() and not file.is_symlink()
    }
    return found if f"{path}/{layout.ENTRYPOINT}" in found else None


def live(fleet: Fleet, cluster: Cluster, tree: Mapping[str, str]) -> ClusterBuild:
    """Return the build of a cluster's committed tree with the definitions of the fleet."""
    components = tree.get(f"{cluster.path}/{layout.COMPONENTS_FILE}")
    is_known = cluster.build.components in (None, components and header.body(components))
    is_current = all(tree.get(path) == text for path, text in cluster.build.files.items())
    if is_known and is_current:
        return cluster.build
    return build.build_tree(fleet.repository, cluster.path, tree)


def edited(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> list[str]:
    """Return a line for each file of a tree that a change edits by hand."""
    return [
        f"{path} is edited by hand, so `pulumi up` refuses it; change the stack file instead"
        for path, text in (after or {}).items()
        if text != (before or {}).get(path) and header.has_checksum(text) and not header.fits(text)
    ]
