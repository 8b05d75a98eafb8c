"""The consequences of a change that its fields alone do not show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from fleet.changes import immutable
from fleet.changes.deletions import deletes_when_removed
from fleet.inventory import deliveries
from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import ObjectId
from fleet.render import flux_paths, moves

# More objects than these are counted, and not named.
_NAMED = 10
_FORCE = "kustomize.toolkit.fluxcd.io/force"


class Rule(str, Enum):
    """The rules that make notes; SARIF has them as its rules."""

    DELETED = "deleted"
    TAKEN = "taken-along"
    RECREATED = "deleted-and-made-again"
    REFUSED = "immutable-field"
    REINSTALLED = "release-reinstalled"
    SUSPEND = "suspend"
    PRUNE = "prune"
    STAYS = "stays"
    MOVED = "moved"


# Something is lost or stands still; a reviewer should not miss these.
SEVERE = (Rule.DELETED, Rule.TAKEN, Rule.RECREATED, Rule.REFUSED, Rule.REINSTALLED)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A consequence of a change, as the end of a sentence about the object."""

    rule: Rule
    text: str

    @property
    def is_severe(self) -> bool:
        """Tell whether something is lost or stands still."""
        return self.rule in SEVERE


def of_change(
    before: BuiltObject, after: BuiltObject, kustomizations: Mapping[str, BuiltObject]
) -> Iterator[Note]:
    """Yield the consequences of changed fields.

    `kustomizations` are the Flux Kustomizations afterwards, by namespace/name.
    """
    applier = kustomizations.get(after.applied_by)
    yield from _refusals(before, after, applier)
    if fields := immutable.reinstalling_fields(before.manifest, after.manifest):
        yield Note(
            rule=Rule.REINSTALLED,
            text=f"{_listed(fields)} changes, so Helm uninstalls the release, with all that it "
            "has, and installs it again",
        )
    yield from _suspend(before, after)
    yield from _prune(before, after)


def _refusals(
    before: BuiltObject, after: BuiltObject, applier: BuiltObject | None
) -> Iterator[Note]:
    fields = immutable.refused_fields(before.manifest, after.manifest)
    if not fields:
        return
    named = f"{_listed(fields)} cannot be changed"
    if _is_forced(before, after, applier):
        text = f"{named}, so Flux deletes the object and makes it again"
        yield Note(rule=Rule.RECREATED, text=text)
        return
    text = (
        f"{named}: the API server refuses it, and {moves.named(after.applied_by)} fails until the "
        "object is deleted"
    )
    if not after.is_released:
        text += f", or has the annotation {_FORCE}: enabled, with which Flux deletes it and makes "
        text += "it again"
    yield Note(rule=Rule.REFUSED, text=text)


def _is_forced(before: BuiltObject, after: BuiltObject, applier: BuiltObject | None) -> bool:
    if after.is_released:
        # Helm replaces an object with `force`, and does not delete it first.
        return False
    if applier is not None and applier.spec.get("force") is True:
        return True
    marks = [
        mapping_at(built.metadata, key)
        for built in (before, after)
        for key in ("labels", "annotations")
    ]
    return any(str(mark.get(_FORCE)).lower() == "enabled" for mark in marks)


def _suspend(before: BuiltObject, after: BuiltObject) -> Iterator[Note]:
    old, new = (built.spec.get("suspend") is True for built in (before, after))
    if old == new or not (after.is_of_flux or after.kind == "CronJob"):
        return
    if after.kind == "CronJob":
        text = "is suspended: it starts no more Jobs" if new else "is resumed: it starts Jobs again"
    elif new:
        text = "is suspended: Flux does nothing for it until it is resumed, and changes wait"
    else:
        text = "is resumed: all that has changed while it was suspended is applied now"
    yield Note(rule=Rule.SUSPEND, text=text)


def _prune(before: BuiltObject, after: BuiltObject) -> Iterator[Note]:
    if after.is_flux_kustomization:
        old, new = (built.spec.get("prune") is True for built in (before, after))
        if old != new:
            text = (
                "prunes from now on: Flux deletes objects that leave it"
                if new
                else "prunes no more: objects that leave it stay in the cluster"
            )
            yield Note(rule=Rule.PRUNE, text=text)
        removal = [deletes_when_removed(built) for built in (before, after)]
        if removal[0] != removal[1] and old == new and _policy(before) != _policy(after):
            what = "is deleted" if removal[1] else "stays in the cluster"
            text = f"has another deletionPolicy: all that it applied {what} when it is removed"
            yield Note(rule=Rule.PRUNE, text=text)
    kept = [deliveries.reason_to_keep(built) is not None for built in (before, after)]
    if kept[0] != kept[1]:
        text = (
            "stays in the cluster from now on when it leaves the tree"
            if kept[1]
            else "is deleted from now on when it leaves the tree"
        )
        yield Note(rule=Rule.PRUNE, text=text)


def _policy(built: BuiltObject) -> object:
    return built.spec.get("deletionPolicy")


def taken(removed: BuiltObject, objects: Sequence[ObjectId]) -> Iterator[Note]:
    """Yield the notes about what goes with a deleted object; `objects` are all that is known."""
    count = f"takes {len(objects)} objects with it: {_named(objects)}" if objects else ""
    # What helm has rendered is all that a release has, and a Kustomization has one source.
    rest = "" if objects and removed.is_flux_applier else _unknown_rest(removed)
    if count or rest:
        text = "; ".join(part for part in (count, rest) if part)
        yield Note(rule=Rule.TAKEN, text=text)


def _unknown_rest(removed: BuiltObject) -> str:
    """Return what a deleted object takes along that is in no file of this repository."""
    group, kind = removed.group, removed.kind
    if (group, kind) == ("", "Namespace"):
        return "everything in the namespace goes, also what is not in this repository"
    if kind == "CustomResourceDefinition":
        return "all objects of its kind go, also those that are not in this repository"
    if removed.is_helm_release and removed.spec.get("suspend") is not True:
        return "Helm uninstalls its release, with all objects of the chart"
    if not removed.is_flux_kustomization or not deletes_when_removed(removed):
        return ""
    if removed.spec.get("kubeConfig"):
        return "all that it applied to another cluster, which spec.kubeConfig names, goes there"
    if flux_paths.applied_path(removed.manifest) is None:
        source = mapping_at(removed.spec, "sourceRef")
        name = f"{source.get('kind')} {source.get('name')}"
        return f"all that it applied from {name} goes, which is not in this repository"
    return ""


def _named(objects: Sequence[ObjectId]) -> str:
    names = sorted(str(found) for found in objects)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _listed(fields: Sequence[str]) -> str:
    return " and ".join(fields)
