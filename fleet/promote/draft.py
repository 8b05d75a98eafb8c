"""A checkout with the edits of a promotion so far."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.config.definitions import created_namespace
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.kube import yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.promote.edits import ListEdit

# An item of these keys brings objects, and so does nothing else of a kustomization that is moved.
_PLAIN_KEYS = {"apiVersion", "kind", "metadata", "resources"}
_HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
_VARIANT = re.compile(r"/(base|overlays/[^/]+)\Z")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """The state that a promotion starts from.

    `files` are the stack files and the shared definitions. `app_namespaces` returns the namespaces
    of the objects of a definition; `namespaces` are those that each cluster has.
    """

    files: Mapping[str, str]
    stacks: Mapping[str, Stack]
    app_namespaces: Callable[[str], Collection[str]]
    namespaces: Mapping[str, Collection[str]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The words of the command."""

    name: str
    to: str
    source: str | None = None
    overlay: bool = False
    set_name: str | None = None
    baseline: str | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The new text of each file, None for one that is removed, in the order of the writes.

    `trees` are the clusters whose committed trees must change with the shared definitions.
    """

    files: Mapping[str, str | None]
    trees: frozenset[str]
    notes: tuple[str, ...]


@dataclass(kw_only=True)
class Draft:
    """The files of a checkout with all edits so far."""

    checkout: Checkout
    changes: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # The stacks whose lists change together with definitions that their clusters have already.
    trees: set[str] = field(default_factory=set)

    def text(self, path: str) -> str | None:
        """Return the text of a file, None if there is none."""
        if path in self.changes:
            return self.changes[path]
        return self.checkout.files.get(path)

    def paths(self, folder: str) -> list[str]:
        """Return all files below a folder, sorted."""
        known = {*self.checkout.files, *self.changes}
        return sorted(
            path for path in known if path.startswith(f"{folder}/") and self.text(path) is not None
        )

    def write(self, path: str, text: str) -> None:
        """Write a file. Raises FleetError if there is one with another text."""
        if self.text(path) not in (None, text):
            raise FleetError(f"{path}: is there already and differs; remove or rename it first")
        self.changes[path] = text

    def move(self, path: str, target: str) -> None:
        """Move a file."""
        self.write(target, self.text(path) or "")
        self.changes[path] = None

    def kustomization(self, folder: str) -> str | None:
        """Return the kustomization file of a folder, None if it has none."""
        files = (f"{folder}/{name}" for name in KUSTOMIZATION_FILES)
        return next((file for file in files if self.text(file) is not None), None)

    def new_kustomization(self, folder: str, *resources: str) -> None:
        """Write the kustomization of a new folder."""
        lines = "".join(f"  - {resource}\n" for resource in resources)
        self.write(f"{folder}/{KUSTOMIZATION_FILES[0]}", f"{_HEAD}{lines}")

    def resources(self, folder: str) -> list[str]:
        """Return the resources that a folder lists."""
        return self._resources(folder).paths if self.kustomization(folder) else []

    def add_resource(self, folder: str, resource: str, reason: str = "") -> None:
        """List a resource in a folder."""
        found = self._resources(folder)
        self.changes[found.file] = found.with_item(resource, reason)

    def remove_resource(self, folder: str, resource: str) -> None:
        """Remove a resource from the list of a folder."""
        found = self._resources(folder)
        self.changes[found.file] = found.without_item(resource)

    def replace_resource(self, folder: str, resource: str, new: str) -> None:
        """List another resource in the place of one."""
        found = self._resources(folder)
        self.changes[found.file] = found.with_other(resource, new)

    def _resources(self, folder: str) -> ListEdit:
        file = self.kustomization(folder)
        if file is None:
            raise FleetError(f"{folder}: has no kustomization.yaml; add one")
        return ListEdit(file=file, text=self.text(file) or "", keys=("resources",))

    def refuse_changes_of(self, folder: str) -> None:
        """Raise FleetError if a folder changes what it lists, so that a moved file would differ."""
        file = self.kustomization(folder)
        more = [key for key in self.document(file or "") if key not in _PLAIN_KEYS]
        if more:
            raise FleetError(
                f"{file}: {', '.join(more)} would not reach what is moved out of it; move it by "
                "hand, then list it"
            )

    def document(self, path: str) -> Mapping[str, Any]:
        """Return the first document of a file, empty if it is no mapping."""
        return next(self.documents(path), {})

    def documents(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the mappings of a file. Raises FleetError if it is not YAML."""
        try:
            found = yaml_reader.documents(self.text(path) or "")
        except ValueError as error:
            raise FleetError(f"{path}: is not YAML: {error}") from None
        yield from (document for document in found if isinstance(document, dict))

    def entries(self, stack: Stack, folder: str) -> list[str]:
        """Return the entries of a shared folder that a stack file lists."""
        return self._entries(stack, folder).paths

    def add_entry(self, stack: Stack, folder: str, entry: str) -> None:
        """List an entry in a stack file, once."""
        found = self._entries(stack, folder)
        if entry not in found.paths:
            self.changes[stack.file] = found.with_item(entry)

    def remove_entry(self, stack: Stack, folder: str, entry: str) -> None:
        """Remove an entry from a stack file."""
        self.changes[stack.file] = self._entries(stack, folder).without_item(entry)

    def replace_entry(self, stack: Stack, folder: str, entry: str, new: str) -> None:
        """List another entry in the place of one."""
        self.changes[stack.file] = self._entries(stack, folder).with_other(entry, new)

    def _entries(self, stack: Stack, folder: str) -> ListEdit:
        text = self.text(stack.file) or ""
        return ListEdit(file=stack.file, text=text, keys=("config", f"fleet:{folder}"))

    def importers(self, folder: str, entry: str) -> list[Stack]:
        """Return the stacks that list an entry."""
        stacks = self.checkout.stacks.values()
        return [stack for stack in stacks if entry in self.entries(stack, folder)]

    def listed(self, folder: str) -> set[str]:
        """Return all files and folders that a folder lists, and those that these list."""
        found: set[str] = set()
        waiting = [folder]
        while waiting:
            paths = self.direct(waiting.pop())
            waiting += paths - found
            found |= paths
        return found

    def namespaces(self, folder: str) -> set[str]:
        """Return the Namespaces that a folder brings, with what it lists."""
        created = (
            created_namespace(document)
            for path in self.listed(folder)
            if self.text(path) is not None
            for document in self.documents(path)
        )
        return {name for name in created if name is not None}

    def drop_resource(self, folder: str, resource: str) -> None:
        """Remove a resource from a set, and an empty set with its imports."""
        if self.resources(folder) != [resource]:
            self.remove_resource(folder, resource)
            return
        self._refuse_users_of(folder)
        shared, _, entry = folder.partition("/")
        for stack in self.importers(shared, entry):
            self.remove_entry(stack, shared, entry)
            self.trees.add(stack.name)
        self.changes[self._resources(folder).file] = None
        self.notes += [f"{path}: stays, though nothing lists it" for path in self.paths(folder)]

    def _refuse_users_of(self, folder: str) -> None:
        """Raise FleetError if another folder lists one that is to be removed."""
        shared = folder.partition("/")[0]
        for path in self.paths(shared):
            user, _, file = path.rpartition("/")
            if file in KUSTOMIZATION_FILES and user != folder and folder in self.direct(user):
                raise FleetError(f"{path}: lists {folder}, which would be empty; remove that first")

    def direct(self, folder: str) -> set[str]:
        """Return the files and folders that a folder lists itself."""
        return {posixpath.normpath(f"{folder}/{item}") for item in self.resources(folder)}

    def plan(self) -> Plan:
        """Return the plan; in its order, every file names only what is there already."""
        changed = {
            path: text
            for path, text in self.changes.items()
            if text != self.checkout.files.get(path)
        }
        ranks = {path: self._rank(path, text) for path, text in changed.items()}
        # Sorting keeps the order of the edits within a rank.
        files = {path: changed[path] for path in sorted(changed, key=ranks.__getitem__)}
        return Plan(files=files, trees=frozenset(self.trees), notes=tuple(self.notes))

    def _rank(self, path: str, text: str | None) -> int:
        if text is None:
            return 3
        if path in self.checkout.files:
            return 1 if "/" not in path else 2
        return 0


def app_of(entry: str) -> str:
    """Return the app of an entry: its folder without `base` or the overlay."""
    return _VARIANT.sub("", entry)
