"""The build of one folder of a tenant's repository, with the findings about its namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleet.errors import CommandError, LimitError
from fleet.inventory.built_object import Build, BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube import flux_build
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.kustomize import KUSTOMIZATION_FILES, kustomization_file
from fleet.kube.manifest import Manifest
from fleet.kube.references import ReferenceProblem


def build_folder(cloned: ArtifactFolder, namespace: str) -> Build:
    """Build a folder as Flux does for a Kustomization with `namespace` as its targetNamespace.

    The files of the copy are the same afterwards.
    """
    folder = cloned.folder
    if not folder.is_dir():
        path = folder.relative_to(cloned.copy)
        problem = f"{path} {cloned.absence(path)}, or ask the platform for another path"
        return Build([], [_finding(cloned, "", problem)])
    if not kustomization_file(folder) and (folder / KUSTOMIZATION_FILES[0]).exists():
        problem = f"does not build: {KUSTOMIZATION_FILES[0]} is not a file; make it one"
        return Build([], [_finding(cloned, "", problem)])
    if problems := flux_build.reference_problems(cloned, {}):
        return Build([], [_reference_finding(cloned, found) for found in problems])
    try:
        return _build(cloned, namespace)
    except CommandError as error:
        return Build([], [_finding(cloned, "", f"does not build: {error}")])


def _finding(cloned: ArtifactFolder, name: str, problem: str) -> Finding:
    return Finding(file=cloned.file, object=name, problem=problem)


def _reference_finding(cloned: ArtifactFolder, found: ReferenceProblem) -> Finding:
    name = f"{found.file}: {found.reference}" if found.reference else found.file
    return _finding(cloned, name, found.problem)


def _build(cloned: ArtifactFolder, namespace: str) -> Build:
    """Build the folder without a namespace, which shows those of the objects, then as Flux does."""
    content = flux_build.kustomization(cloned.folder)
    configured = content.pop("namespace", None)
    try:
        objects = _objects(cloned, flux_build.build_with(cloned, content).manifests)
    except LimitError:
        raise
    except CommandError:
        objects = []  # the folder may still build in the namespace
    findings = [*_namespace_findings(cloned, configured, objects, namespace)]
    if clashes := [*_name_clashes(objects)]:
        # kustomize refuses them as well, but prints all content, also of Secrets.
        return Build([], findings + clashes)
    manifests = flux_build.build(cloned, {"targetNamespace": namespace}).manifests
    return Build(_objects(cloned, manifests), findings)


def _namespace_findings(
    cloned: ArtifactFolder, configured: object, objects: Iterable[BuiltObject], namespace: str
) -> Iterator[Finding]:
    """Yield a finding for each other namespace that is named, as Flux replaces it silently."""
    if configured not in (None, "", namespace):
        problem = f"Flux puts all objects into {namespace} instead; remove it"
        yield _finding(cloned, f"namespace: {configured}", problem)
    for built in objects:
        if built.namespace not in (None, namespace):
            yield built.finding(
                f"names namespace {built.namespace}; Flux puts it into {namespace}; "
                "remove metadata.namespace"
            )


def _name_clashes(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Yield a finding for each object that has the name of another once namespaces are equal."""
    names: dict[tuple[str, str, str], str] = {}
    for built in objects:
        first = names.setdefault((built.group, built.kind, built.name), built.display_name)
        if first != built.display_name:
            yield built.finding(
                f"has the name of {first}, and Flux puts both into one namespace; remove or "
                "rename one"
            )


def _objects(cloned: ArtifactFolder, manifests: Iterable[Manifest]) -> list[BuiltObject]:
    return [BuiltObject(path=cloned.file, manifest=manifest) for manifest in manifests]
