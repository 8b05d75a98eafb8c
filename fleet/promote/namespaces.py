"""Promotions of namespaces into the lists of clusters, by folders of their own or named sets."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from fleet.config.definitions import created_namespace
from fleet.config.entry_rules import other_environment
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.promote.draft import Draft

FOLDER = "infrastructure/namespaces"
INFRASTRUCTURE = "infrastructure"
COMMON = f"{FOLDER}/common"
_ONLY = "-only"


@dataclass(frozen=True, kw_only=True)
class Home:
    """The file that defines a namespace."""

    namespace: str
    path: str

    @property
    def folder(self) -> str:
        """The folder that has the file."""
        return posixpath.dirname(self.path)

    @property
    def file(self) -> str:
        """The name of the file."""
        return posixpath.basename(self.path)

    @property
    def own_folder(self) -> str:
        """The folder that has this namespace alone, or is to have it."""
        return f"{FOLDER}/{self.namespace}"

    @property
    def is_own(self) -> bool:
        """Tell whether the namespace has its own folder already."""
        return f"{self.folder}/".startswith(f"{self.own_folder}/")


def homes(draft: Draft) -> dict[str, Home]:
    """Return the home of each namespace that a folder for namespaces defines."""
    found: dict[str, Home] = {}
    for path in draft.paths(FOLDER):
        if path.endswith((".yaml", ".yml")):
            names = [created_namespace(document) for document in draft.documents(path)]
            found |= {name: Home(namespace=name, path=path) for name in names if name is not None}
    return found


def add(draft: Draft, namespace: str, stack: Stack, set_name: str | None = None) -> None:
    """List a namespace for a cluster that lacks it: a folder with it alone, or a named set."""
    home = homes(draft).get(namespace)
    if home is None:
        raise FleetError(
            f"{stack.file}: no folder below {FOLDER} defines Namespace {namespace}; add "
            f"{FOLDER}/{namespace} with a kustomization.yaml and the Namespace"
        )
    if set_name is not None:
        _add_to_set(draft, home, stack, set_name)
        return
    folder = _folder_alone(draft, home, stack)
    if folder is None:
        move_out(draft, home)
        folder = home.own_folder
    draft.add_entry(stack, INFRASTRUCTURE, folder.removeprefix(f"{INFRASTRUCTURE}/"))


def _folder_alone(draft: Draft, home: Home, stack: Stack) -> str | None:
    """Return the folder that brings a namespace and nothing else; the cluster's overlay first."""
    folders = {posixpath.dirname(path) for path in draft.paths(home.own_folder)} | {home.folder}
    found = [
        folder
        for folder in sorted(folders, key=lambda folder: ("/overlays/" not in folder, folder))
        if folder != COMMON
        and other_environment(folder, stack.environment) is None
        and not folder.endswith(_ONLY)
        and draft.namespaces(folder) == {home.namespace}
    ]
    return next(iter(found), None)


def move_out(draft: Draft, home: Home) -> None:
    """Move a namespace to a folder of its own. Its set refers to that, so no cluster loses it."""
    if home.is_own:
        raise FleetError(f"{home.own_folder}: has no kustomization.yaml; add one that lists it")
    refuse_shared_file(draft, home)
    draft.refuse_changes_of(home.folder)
    draft.new_kustomization(home.own_folder, home.file)
    draft.move(home.path, f"{home.own_folder}/{home.file}")
    draft.replace_resource(home.folder, home.file, f"../{home.namespace}")
    note_former_set(draft, home, f"{home.own_folder}/{home.file}")


def refuse_shared_file(draft: Draft, home: Home) -> None:
    """Raise FleetError if the file of a namespace has more than that."""
    if len(list(draft.documents(home.path))) > 1:
        raise FleetError(
            f"{home.path}: has more than Namespace {home.namespace}; give it a file of its own"
        )


def note_former_set(draft: Draft, home: Home, path: str) -> None:
    """Note the lines of a moved file that name the set from which it comes."""
    former = posixpath.basename(home.folder)
    for number, line in enumerate((draft.text(path) or "").splitlines(), start=1):
        if former in line:
            draft.notes.append(f"{path}:{number} still says {former}: {line.strip()}")


def _add_to_set(draft: Draft, home: Home, stack: Stack, name: str) -> None:
    """Make or extend a named set, which refers to the folder of the namespace."""
    folder, entry = f"{FOLDER}/{name}", f"namespaces/{name}"
    if "/" in name or name == home.namespace or name.endswith(_ONLY) or name == "common":
        raise FleetError(f"--set {name}: is no name of a named set; choose one such as internal")
    if home.namespace in draft.namespaces(folder):
        draft.add_entry(stack, INFRASTRUCTURE, entry)
        return
    for other in draft.importers(INFRASTRUCTURE, entry):
        if home.namespace in draft.checkout.namespaces[other.name]:
            raise FleetError(
                f"--set {name}: {other.name} imports it and has Namespace {home.namespace} by "
                "another entry; choose another set"
            )
    if _folder_alone(draft, home, stack) != home.own_folder:
        move_out(draft, home)
    if draft.kustomization(folder) is None:
        draft.new_kustomization(folder, f"../{home.namespace}")
    else:
        draft.add_resource(folder, f"../{home.namespace}")
    draft.add_entry(stack, INFRASTRUCTURE, entry)


def entries_with(draft: Draft, namespace: str) -> list[tuple[Stack, str]]:
    """Return the stacks and their entries that bring a namespace."""
    return [
        (stack, entry)
        for stack in draft.checkout.stacks.values()
        for entry in draft.entries(stack, INFRASTRUCTURE)
        if entry.startswith("namespaces/")
        and namespace in draft.namespaces(f"{INFRASTRUCTURE}/{entry}")
    ]


def references(draft: Draft, home: Home) -> list[tuple[str, str]]:
    """Return the sets that list the file or the folder of a namespace, with the item of each."""
    folders = sorted({posixpath.dirname(path) for path in draft.paths(FOLDER)})
    wanted = (home.path, home.own_folder, f"{home.own_folder}/base")
    return [
        (folder, resource)
        for folder in folders
        if not f"{folder}/".startswith(f"{home.own_folder}/")
        for resource in draft.resources(folder)
        if posixpath.normpath(f"{folder}/{resource}") in wanted
    ]


def entry_of(folder: str) -> str:
    """Return the entry that lists a folder."""
    return folder.removeprefix(f"{INFRASTRUCTURE}/")
