"""Promotions of policies: from test-only to shared (Audit everywhere), and to Deny in a cluster."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.promote.draft import Draft

FOLDER = "infrastructure/policies"
SHARED = "shared"
_INFRASTRUCTURE = "infrastructure"
_ONLY = "-only"


@dataclass(frozen=True, kw_only=True)
class PolicyPlace:
    """The folder of a stage, such as `shared`, and the file or folder of a policy in it."""

    engine: str
    stage: str
    item: str

    @property
    def folder(self) -> str:
        """The folder of the stage."""
        return f"{self.engine}/{self.stage}"


def places(draft: Draft) -> dict[str, PolicyPlace]:
    """Return the place of each policy, by the names of its objects and by its file or folder."""
    found: dict[str, PolicyPlace] = {}
    for path in draft.paths(FOLDER):
        parts = path.removeprefix(f"{FOLDER}/").split("/")
        if len(parts) < 3 or not path.endswith((".yaml", ".yml")):  # engine, stage and item
            continue
        engine, stage, item = parts[:3]
        place = PolicyPlace(engine=f"{FOLDER}/{engine}", stage=stage, item=item)
        for document in draft.documents(path):
            metadata = document.get("metadata")
            if str(document.get("kind")).endswith("Policy") and isinstance(metadata, dict):
                found[str(metadata.get("name"))] = place
                found[item.removesuffix(".yaml").removesuffix(".yml")] = place
    return found


def to_shared(draft: Draft, place: PolicyPlace) -> None:
    """Move a policy to the set of all clusters."""
    if place.stage == SHARED:
        raise FleetError(f"{place.folder}: has {place.item} already; nothing to promote")
    draft.refuse_changes_of(place.folder)
    if place.item not in draft.resources(place.folder):
        raise FleetError(f"{place.folder}: does not list {place.item}; list it there first")
    folder = f"{place.engine}/{SHARED}"
    name = _moved(draft, place, folder)
    draft.drop_resource(place.folder, place.item)
    draft.add_resource(folder, name)


def _moved(draft: Draft, place: PolicyPlace, folder: str) -> str:
    """Move a policy to a folder of its own, so that it can be enforced alone; return its name."""
    path = f"{place.folder}/{place.item}"
    if draft.text(path) is None:
        for file in draft.paths(path):
            draft.move(file, f"{folder}/{place.item}/{file.removeprefix(f'{path}/')}")
        return place.item
    name, extension = posixpath.splitext(place.item)
    draft.new_kustomization(f"{folder}/{name}", f"policy{extension}")
    draft.move(path, f"{folder}/{name}/policy{extension}")
    return name


def to_cluster(draft: Draft, place: PolicyPlace, stack: Stack) -> None:
    """Let a cluster enforce a shared policy, as the folder of its environment does it."""
    folder = f"{place.engine}/{stack.environment}"
    if place.stage.endswith(_ONLY):
        raise FleetError(
            f"{place.folder}: {place.item} is on trial there; promote it to shared first, with "
            f"--to {SHARED}"
        )
    if place.stage != SHARED:
        raise FleetError(f"{place.folder}: {place.item} is no shared policy; move it to {SHARED}")
    if not _denies(draft, folder):
        raise FleetError(
            f"{folder}: has no kustomization.yaml that sets validationActions to Deny; add one as "
            f"{place.engine}/prod has it"
        )
    resource, entry = f"../{SHARED}/{place.item}", folder.removeprefix(f"{_INFRASTRUCTURE}/")
    is_listed = resource in draft.resources(folder)
    if is_listed and stack in draft.importers(_INFRASTRUCTURE, entry):
        raise FleetError(f"{stack.name}: enforces {place.item} already; nothing to promote")
    if draft.text(f"{place.folder}/{place.item}") is not None:
        # kustomize refuses a file of another folder.
        resource = f"../{SHARED}/{_moved(draft, place, place.folder)}"
        name = posixpath.basename(resource)
        draft.replace_resource(place.folder, place.item, name)
    if not is_listed:
        draft.add_resource(folder, resource)
    draft.add_entry(stack, _INFRASTRUCTURE, entry)


def _denies(draft: Draft, folder: str) -> bool:
    file = draft.kustomization(folder)
    text = draft.text(file) if file else None
    return text is not None and "validationActions" in text and "Deny" in text
