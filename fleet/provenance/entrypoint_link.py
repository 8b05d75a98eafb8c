"""The first link of the chains in a cluster that has no stack."""

from __future__ import annotations

from pathlib import Path

from fleet.inventory.entrypoints import Entrypoint
from fleet.provenance.definition_chain import object_line
from fleet.provenance.link import Link, LinkKind


def entrypoint_link(root: Path, entrypoint: Entrypoint) -> Link:
    """Return the line that makes the Flux of a cluster apply its first folder.

    It may be in no file; then Flux is assumed to apply the folder.
    """
    found = entrypoint.declared
    if found is None:
        text = "Flux is assumed to apply this folder, since no other one brings it"
        return Link(kind=LinkKind.ENTRYPOINT, file=entrypoint.path, line=None, text=text)
    content = (root / entrypoint.file).read_text("utf-8", "replace")
    who = f"{found} makes" if found.kind else "values make"
    return Link(
        kind=LinkKind.ENTRYPOINT,
        file=entrypoint.file,
        line=object_line(content, found),
        text=f"{who} Flux apply {entrypoint.path}",
    )
