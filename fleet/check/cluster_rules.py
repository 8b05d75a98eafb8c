"""The rules that no schema can hold: about a checkout, and about all objects of one cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fleet.check import flux_rules, images, references
from fleet.check.durations import too_long_durations
from fleet.check.rules import Rule, finds
from fleet.check.scopes import Scopes
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject, is_encrypted
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube import namespaces
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, ObjectId
from fleet.kube.once import id_of, once_for_each
from fleet.render import place_moves, stages

_NAMESPACES_OF_EVERY_CLUSTER = namespaces.BUILT_IN_NAMESPACES | {namespaces.FLUX_NAMESPACE}


@finds(Rule.FOLDER_WITHOUT_STACK)
def folders_without_stack(root: Path, stacks: Sequence[Stack]) -> Iterator[Finding]:
    """Rule: every folder below clusters/ belongs to a stack, or is the one that a stack leaves."""
    folder = root / "clusters"
    stack_names = {stack.name for stack in stacks}
    for stack in stacks:
        stack_names.update(place_moves.former_names(stack))
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in stack_names:
            yield Finding(
                file=f"clusters/{path.name}",
                object="",
                problem=f"belongs to no stack; add Pulumi.{path.name}.yaml or remove the folder",
            )


def findings(
    stack: Stack,
    cluster: ClusterBuild,
    definition_folders: Mapping[str, str],
    scopes: Scopes,
) -> Iterator[Finding]:
    """Apply the rules below, and those about Flux, to all objects of one cluster.

    `definition_folders` has, by namespace, the folder of the shared definition that creates it.
    """
    objects = cluster.objects
    yield from duplicates(_paths_in_order(stack), objects)
    yield from released_duplicates(cluster)
    yield from objects_without_namespace(objects, scopes)
    yield from missing_namespaces(stack, objects, definition_folders)
    yield from encrypted_objects(objects)
    yield from flux_rules.findings(objects, cluster.repository.copy)
    yield from references.missing_config_maps(cluster)
    yield from images.findings(cluster.all_objects)
    yield from too_long_durations(objects)


@finds(Rule.DUPLICATE_OBJECT)
def duplicates(order: Sequence[str], objects: Objects) -> Iterator[Finding]:
    """Rule: no object is applied from two Flux paths; `order` has the first ones."""
    if len(objects.answers(_name_in_cluster)) == len(objects):
        return
    paths: dict[str, str] = {}
    for built in sorted(objects, key=lambda built: _position(order, built.path)):
        first = paths.setdefault(_name_in_cluster(built.manifest), built.path)
        if first != built.path:
            yield built.finding(
                f"is also delivered by {first}, and each overwrites the other; keep one"
            )


def _name_in_cluster(manifest: Manifest) -> str:
    found = id_of(manifest)
    return f"{found.group} {found}"


@finds(Rule.DUPLICATE_OBJECT)
def released_duplicates(cluster: ClusterBuild) -> Iterator[Finding]:
    """Rule: nothing else applies an object of a HelmRelease, or Helm refuses to install it.

    Helm takes CRDs of a chart's folder, and the namespace that it creates, as it finds them.
    """
    released = [built for built in cluster.released.objects if built.is_pruned]
    owners: dict[ObjectId, str] = {}
    for built in [*released, *(cluster.objects if released else ())]:
        owner = owners.get(id_of(built.manifest))
        if owner is None and built.is_released:
            owners[id_of(built.manifest)] = built.applied_by
        elif owner is not None and owner != built.applied_by:
            yield built.finding(
                f"is also part of {owner}, and Helm refuses what it has not made; keep one"
            )


@finds(Rule.WITHOUT_NAMESPACE)
def objects_without_namespace(objects: Objects, scopes: Scopes) -> Iterator[Finding]:
    """Rule: an object of a namespaced kind has a namespace, or Flux refuses all of its stage."""
    # Many objects are of few kinds.
    kinds = objects.answers(_kind_without_namespace)
    wrong = {kind for kind in kinds if kind is not None and scopes.is_namespaced(*kind)}
    for built in objects if wrong else ():
        if _kind_without_namespace(built.manifest) in wrong:
            yield built.finding("has no namespace, which Flux refuses; add metadata.namespace")


@once_for_each
def _kind_without_namespace(manifest: Manifest) -> tuple[str, str] | None:
    """Return the apiVersion and the kind of an object that has no namespace."""
    built = BuiltObject(path="", manifest=manifest)
    return None if built.metadata.get("namespace") else (built.api_version, built.kind)


@finds(Rule.MISSING_NAMESPACE)
def missing_namespaces(
    stack: Stack, objects: Objects, definition_folders: Mapping[str, str]
) -> Iterator[Finding]:
    """Rule: this cluster creates the namespace of every object, in the same stage or before."""
    order = _paths_in_order(stack)
    created = _namespace_creators(objects)

    def is_right(path: str, needed: _Needed) -> bool:
        return needed.namespace in _NAMESPACES_OF_EVERY_CLUSTER or any(
            _is_created_in_time(order, creator, path, needed)
            for creator in created.get(needed.namespace, ())
        )

    for part in objects.parts:
        # Many objects need few namespaces.
        wanted = frozenset[_Needed]().union(*part.answers(_needed_namespaces))
        wrong = {needed for needed in wanted if not is_right(part.path, needed)}
        for built in part if wrong else ():
            for needed in _needed_namespaces(built.manifest):
                if needed in wrong and not built.is_unknown(needed.namespace):
                    creators = created.get(needed.namespace, ())
                    folder = definition_folders.get(needed.namespace)
                    yield built.finding(
                        _missing(stack, needed.namespace, creators, folder, part.path)
                    )


def _missing(
    stack: Stack,
    namespace: str,
    creators: Collection[BuiltObject],
    folder: str | None,
    path: str,
) -> str:
    """Return why a namespace is not there for what `path` brings, and what to do."""
    if not creators:
        hint = f"{folder} has it" if folder else "no shared definition has it yet"
        return (
            f"namespace {namespace} is not created in this cluster; "
            f"add its folder to fleet:infrastructure in {stack.file} ({hint})"
        )
    if all(creator.path == path for creator in creators):
        return (
            f"namespace {namespace} is created only by Helm, after Flux has applied this stage; "
            "add it to namespaces/"
        )
    return f"namespace {namespace} comes only in a later stage; move it to namespaces/"


@finds(Rule.NOT_DECRYPTED)
def encrypted_objects(objects: Objects) -> Iterator[Finding]:
    """Rule: what SOPS has encrypted is applied by a Flux Kustomization that decrypts it."""
    for built in objects.where(is_encrypted):
        if not built.is_decrypted:
            yield built.finding(
                "is encrypted with SOPS, which Flux refuses here; apply its folder with a Flux "
                "Kustomization that has spec.decryption"
            )


def _paths_in_order(stack: Stack) -> list[str]:
    """Return the paths of a cluster's stages, in the order in which Flux applies them."""
    return [
        stack.path,
        *(f"{stack.path}/{stage.value}" for stage in stages.entries_by_stage(stack)),
    ]


def _position(order: Sequence[str], path: str) -> int:
    """Return the position of a path; all others, such as the tenants', come last."""
    return order.index(path) if path in order else len(order)


_created_namespace = once_for_each(definitions.created_namespace)


def _namespace_creators(objects: Objects) -> dict[str, list[BuiltObject]]:
    """Return by namespace the objects that create it: Namespaces and HelmReleases."""
    creators: dict[str, list[BuiltObject]] = {}
    for built in objects.where(_created_namespace):
        creators.setdefault(str(_created_namespace(built.manifest)), []).append(built)
    return creators


class _Needed(NamedTuple):
    """A namespace that an object needs: its own one, or one that Flux applies objects to for it."""

    namespace: str
    is_own: bool


def _is_created_in_time(
    order: Sequence[str], creator: BuiltObject, path: str, needed: _Needed
) -> bool:
    """Tell whether a namespace that an object of `path` needs exists early enough.

    Flux applies the Namespaces of a path first. Helm creates one after its path is applied, which
    is too late for the object's own namespace. The order of paths that are no stages is unknown.
    """
    if creator.path == path:
        return not creator.is_helm_release or not needed.is_own
    return _position(order, creator.path) <= _position(order, path)


@once_for_each
def _needed_namespaces(manifest: Manifest) -> tuple[_Needed, ...]:
    built = BuiltObject(path="", manifest=manifest)
    needed = [built.namespace]
    if built.is_flux_applier and not mapping_at(built.spec, "install").get("createNamespace"):
        target = built.spec.get("targetNamespace")
        needed.append(None if target is None else str(target))
    names = dict.fromkeys(name for name in needed if name is not None)
    return tuple(_Needed(name, name == built.namespace) for name in names)
