"""A link of the chain that brings an object into a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fleet.inventory.field_diff import FieldDifference


class LinkKind(str, Enum):
    """The kinds of links; their names are part of the JSON that programs read."""

    STACK = "stack"
    ENTRYPOINT = "entrypoint"
    LIST = "list"
    KUSTOMIZATION = "kustomization"
    CHANGE = "change"
    GENERATOR = "generator"
    RENDERED = "rendered"
    RELEASE = "release"
    OBJECT = "object"


@dataclass(frozen=True, kw_only=True)
class Link:
    """One step from the stack file to an object: the line that takes it, and what it changes.

    The line is None if the file has no line for it, such as a folder whose files Flux lists.
    """

    kind: LinkKind
    file: str
    line: int | None
    text: str
    changes: tuple[FieldDifference, ...] = ()

    @property
    def place(self) -> str:
        """The file with its line, as editors open it."""
        return self.file if self.line is None else f"{self.file}:{self.line}"
