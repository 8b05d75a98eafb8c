"""The rules that no schema can hold: about a checkout, and about all objects of one cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fleet.check.built_object import BuiltObject
from fleet.check.fields import mapping_at, mappings_in
from fleet.check.findings import Finding
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.kube import namespaces, yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.render import flux, stages


def folders_without_stack(root: Path, stack_names: Sequence[str]) -> Iterator[Finding]:
    """Rule: every folder below clusters/ belongs to a stack."""
    folder = root / "clusters"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in stack_names:
            yield Finding(
                file=f"clusters/{path.name}",
                object="",
                problem=f"belongs to no stack; add Pulumi.{path.name}.yaml or remove the folder",
            )


def remote_bases(root: Path) -> Iterator[Finding]:
    """Rule: no kustomization of a shared definition names a base that is on the network."""
    for path in definitions.yaml_files(root):
        if path.name not in KUSTOMIZATION_FILES:
            continue
        for content in yaml_reader.mappings_in(path):
            for key in ("resources", "components", "bases"):
                entries = content.get(key)
                for entry in entries if isinstance(entries, list) else ():
                    if "://" in str(entry) or "?ref=" in str(entry) or "git@" in str(entry):
                        yield Finding(
                            file=path.relative_to(root).as_posix(),
                            object=f"{key}: {entry}",
                            problem="is remote; copy it into this repository, or use a Flux source",
                        )


def findings(
    stack: Stack, objects: Sequence[BuiltObject], definition_folders: Mapping[str, str]
) -> Iterator[Finding]:
    """Apply the rules below to all objects of one cluster.

    `definition_folders` has, by namespace, the folder of the shared definition that creates it.
    """
    yield from duplicate_objects(stack, objects)
    yield from missing_namespaces(stack, objects, definition_folders)
    yield from missing_dependencies(objects)
    yield from missing_accounts(objects)
    yield from sources_in_other_namespaces(objects)


def duplicate_objects(stack: Stack, objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Rule: no object is applied from two Flux paths."""
    paths: dict[str, str] = {}
    order = _paths_in_order(stack)
    for built in sorted(objects, key=lambda built: _position(order, built.path)):
        first = paths.setdefault(f"{built.group} {built.display_name}", built.path)
        if first != built.path:
            yield built.finding(
                f"is also delivered by {first}, and each overwrites the other; keep one"
            )


def missing_namespaces(
    stack: Stack, objects: Sequence[BuiltObject], definition_folders: Mapping[str, str]
) -> Iterator[Finding]:
    """Rule: this cluster creates the namespace of every object, in the same stage or before."""
    order = _paths_in_order(stack)
    created = _namespace_positions(order, objects)
    for built in objects:
        for namespace in _needed_namespaces(built):
            if namespace not in created:
                folder = definition_folders.get(namespace)
                hint = f"{folder} has it" if folder else "no shared definition has it yet"
                yield built.finding(
                    f"namespace {namespace} is not created in this cluster; "
                    f"add its folder to fleet:infrastructure in {stack.file} ({hint})"
                )
            elif created[namespace] > _position(order, built.path):
                yield built.finding(
                    f"namespace {namespace} comes only in a later stage; move it to namespaces/"
                )


def missing_dependencies(objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Rule: `dependsOn` names an object of the same kind that this cluster has."""
    appliers = [built for built in objects if _is_flux_applier(built)]
    known = {(built.kind, built.namespace, built.name) for built in appliers}
    for built in appliers:
        for dependency in mappings_in(built.spec.get("dependsOn")):
            name = str(dependency.get("name"))
            if (built.kind, dependency.get("namespace", built.namespace), name) not in known:
                yield built.finding(
                    f"dependsOn names {name}, which this cluster does not have; correct it"
                )


def missing_accounts(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: an object names the ServiceAccount with which Flux applies it.

    Without a name, `fleet.render.flux.FLAGS` gives Flux an account without rights, and the mistake
    would show only in the cluster.
    """
    for built in objects:
        if _is_flux_applier(built) and not built.spec.get("serviceAccountName"):
            yield built.finding(
                "spec.serviceAccountName is missing, so Flux has no right to apply it; "
                f"set it, in {namespaces.FLUX_NAMESPACE} to {flux.PLATFORM_ACCOUNT}"
            )


def sources_in_other_namespaces(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: the source is in the same namespace; `fleet.render.flux.FLAGS` refuses any other."""
    for built in objects:
        if not _is_flux_applier(built):
            continue
        for part in (built.spec, mapping_at(built.spec, "chart", "spec")):
            for key in ("sourceRef", "chartRef"):
                namespace = mapping_at(part, key).get("namespace")
                if namespace not in (None, built.namespace):
                    yield built.finding(
                        f"{key} names namespace {namespace}, which Flux refuses; "
                        "keep the source in the same namespace"
                    )


def _is_flux_applier(built: BuiltObject) -> bool:
    """Tell whether Flux applies further objects because of this one."""
    return built.is_flux_kustomization or built.is_helm_release


def _paths_in_order(stack: Stack) -> list[str]:
    """Return the paths of a cluster's stages, in the order in which Flux applies them."""
    return [
        stack.path,
        *(f"{stack.path}/{stage.value}" for stage in stages.entries_by_stage(stack)),
    ]


def _position(order: Sequence[str], path: str) -> int:
    """Return the position of a path; all others, such as the tenants', come last."""
    return order.index(path) if path in order else len(order)


def _namespace_positions(order: Sequence[str], objects: Iterable[BuiltObject]) -> dict[str, int]:
    """Return by namespace the position of the first path that creates it, -1 for built-in ones."""
    positions = dict.fromkeys(namespaces.BUILT_IN_NAMESPACES | {namespaces.FLUX_NAMESPACE}, -1)
    for built in objects:
        if (built.api_version, built.kind) == ("v1", "Namespace"):
            position = _position(order, built.path)
            positions[built.name] = min(position, positions.get(built.name, position))
    return positions


def _needed_namespaces(built: BuiltObject) -> list[str]:
    """Return the object's own namespace, and the one that Flux applies objects to for it."""
    needed = [built.namespace]
    if _is_flux_applier(built) and not mapping_at(built.spec, "install").get("createNamespace"):
        needed.append(built.spec.get("targetNamespace"))
    return [str(namespace) for namespace in dict.fromkeys(needed) if namespace is not None]
