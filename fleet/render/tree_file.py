"""A file of a tree: its objects, and its text, which is written when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleet.kube import yaml_reader
from fleet.kube.manifest import Manifest
from fleet.kube.yaml_writer import to_yaml
from fleet.render import header


@dataclass(frozen=True, kw_only=True)
class TreeFile:
    """A file of a tree. It has no `manifests` if it is not as fleet generated it."""

    manifests: Sequence[Manifest] | None
    write: Callable[[], str]


def of_manifests(*manifests: Manifest) -> TreeFile:
    """Return the file of these objects, without a header."""
    return TreeFile(manifests=manifests, write=lambda: to_yaml(*manifests))


def of_body(text: str) -> TreeFile:
    """Return the file with this text below its header."""
    found = [manifest for manifest in yaml_reader.documents(text) if manifest is not None]
    return TreeFile(manifests=found, write=lambda: text)


def of_text(text: str) -> TreeFile:
    """Return a file that is committed, with its header."""
    manifests = of_body(text).manifests if header.fits(text) else None
    return TreeFile(manifests=manifests, write=lambda: text)
