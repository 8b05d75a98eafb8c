"""The rules about objects that make Flux apply or fetch something."""

from __future__ import annotations

import graphlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fleet.check.rules import Rule, finds
from fleet.inventory import built_object
from fleet.inventory.built_object import BuiltObject, is_of_flux
from fleet.inventory.finding import Finding, listed
from fleet.inventory.objects import Objects
from fleet.kube import namespaces
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.kustomize import generated_resources, kustomization_file
from fleet.render import flux, flux_paths

# The mappings in the spec of a Flux object that name another object of its own namespace.
_REFERENCES = (("sourceRef",), ("chartRef",), ("chart", "spec", "sourceRef"))
# References that name no kind, by the kind of the object that has them.
_WITHOUT_KIND = {
    "Alert": ("providerRef", "Provider"),
    "ImagePolicy": ("imageRepositoryRef", "ImageRepository"),
}
# A controller makes these objects, so they are in no repository.
_MADE_IN_CLUSTER = ("ExternalArtifact",)
# The mappings in the spec of an object that name a chart.
_CHARTS = {"HelmRelease": ("chart", "spec"), "HelmChart": ()}
_CHART_FILE = "Chart.yaml"
# The lists of references to ConfigMaps and Secrets.
_VALUE_LISTS = (("valuesFrom",), ("postBuild", "substituteFrom"))


def findings(objects: Objects, copy: Path) -> Iterator[Finding]:
    """Apply the rules below to all objects of one cluster.

    `copy` has the files of the repository that Flux fetches.
    """
    of_flux = objects.where(is_of_flux)
    yield from missing_dependencies(of_flux)
    yield from dependency_cycles(of_flux)
    yield from missing_accounts(of_flux)
    yield from sources_in_other_namespaces(of_flux)
    yield from missing_sources(objects, of_flux)
    yield from missing_charts(of_flux, copy)
    yield from implicit_memberships(of_flux, copy)
    yield from missing_values(objects, of_flux)


@finds(Rule.DEPENDENCY)
def missing_dependencies(objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Rule: `dependsOn` names an object of the same kind that this cluster has."""
    known = {
        (built.kind, str(built.namespace), built.name) for built in objects if built.is_flux_applier
    }
    for built in objects:
        if not built.is_flux_applier:
            continue
        for dependency in mappings_in(built.spec.get("dependsOn")):
            name = str(dependency.get("name"))
            key = (built.kind, str(dependency.get("namespace", built.namespace)), name)
            if key not in known and not built.is_unknown(name):
                yield built.finding(
                    f"dependsOn names {name}, which this cluster does not have; correct it",
                    near=f"name: {name}",
                )


@finds(Rule.CYCLE)
def dependency_cycles(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: no object of Flux waits for itself, in one step or in several.

    It waits for what `dependsOn` names, and a Kustomization with `wait` for what it applies.
    """
    appliers = built_object.appliers(objects)
    waits: dict[str, set[str]] = {name: set() for name in appliers}
    for name, built in appliers.items():
        waits[name].update(_dependencies(built))
        parent = appliers.get(built.applied_by)
        if parent is not None and parent is not built and parent.spec.get("wait") is True:
            waits[parent.applier_name].add(name)
    while cycle := _cycle(waits):
        first = min(cycle)
        start = cycle.index(first)
        names = " -> ".join([*cycle[start:], *cycle[:start], first])
        yield appliers[first].finding(
            f"waits for itself, so Flux never applies it: {names}; remove one dependsOn"
        )
        # What waits for this cycle is no cycle of its own.
        for name in cycle:
            waits.pop(name)


def _dependencies(built: BuiltObject) -> Iterator[str]:
    """Yield the names, as `applier_name`, of what `dependsOn` names; it is of the same kind."""
    for dependency in mappings_in(built.spec.get("dependsOn")):
        namespace = str(dependency.get("namespace") or built.namespace)
        yield built_object.applier_name(built, namespace, str(dependency.get("name")))


def _cycle(waits: Mapping[str, Collection[str]]) -> list[str]:
    """Return the names of a cycle, each before what it waits for; none if there is no cycle."""
    known = {name: [found for found in sorted(waits[name]) if found in waits] for name in waits}
    try:
        graphlib.TopologicalSorter(known).prepare()
    except graphlib.CycleError as error:
        # Each name in the error is waited for by the next one, and the first one is also the last.
        names: list[str] = error.args[1]
        return names[:0:-1]
    return []


@finds(Rule.ACCOUNT)
def missing_accounts(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: an object names the ServiceAccount with which Flux applies it.

    Without a name, `fleet.render.flux.FLAGS` gives Flux an account without rights, and the mistake
    would show only in the cluster.
    """
    for built in objects:
        if built.is_flux_applier and not built.spec.get("serviceAccountName"):
            yield built.finding(
                "spec.serviceAccountName is missing, so Flux has no right to apply it; "
                f"set it, in {namespaces.FLUX_NAMESPACE} to {flux.PLATFORM_ACCOUNT}"
            )


@finds(Rule.OTHER_NAMESPACE)
def sources_in_other_namespaces(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: the source is in the same namespace; `fleet.render.flux.FLAGS` refuses any other."""
    for built, key, reference in _source_references(objects):
        namespace = reference.get("namespace")
        if namespace not in (None, built.namespace):
            yield built.finding(
                f"{key} names namespace {namespace}, which Flux refuses; "
                "keep the source in the same namespace"
            )


@finds(Rule.SOURCE)
def missing_sources(objects: Objects, of_flux: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: this cluster has the source that one of its objects `of_flux` names."""
    references = [*_source_references(of_flux)]
    kinds = {str(reference.get("kind")) for _, _, reference in references}
    sources = objects.of_kinds(*kinds)
    known = {(built.kind, built.namespace, built.name) for built in sources}
    for built, key, reference in references:
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        if reference.get("namespace") not in (None, built.namespace) or built.is_unknown(name):
            continue
        if kind not in _MADE_IN_CLUSTER and (kind, built.namespace, name) not in known:
            yield built.finding(
                f"{key} names {kind} {name}, which this cluster does not have; add it or correct "
                "the name",
                near=f"name: {name}",
            )


@finds(Rule.CHART)
def missing_charts(objects: Iterable[BuiltObject], copy: Path) -> Iterator[Finding]:
    """Rule: a chart that is part of this repository is there."""
    for built in objects:
        keys = _CHARTS.get(built.kind)
        if keys is None:
            continue
        chart = mapping_at(built.spec, *keys)
        if not flux_paths.is_own_source(built.manifest, mapping_at(chart, "sourceRef")):
            continue
        name = str(chart.get("chart"))
        path = copy / flux_paths.resolved_path(name)
        # Flux also takes a chart that is packed into one file.
        is_there = any(os.path.isfile(file) for file in (path, path / _CHART_FILE))  # noqa: PTH113 - accepts any name
        if not is_there and not built.is_unknown(name):
            yield built.finding(f"chart {name} is not in this repository; add it or correct it")


@finds(Rule.IMPLICIT_MEMBERSHIP)
def implicit_memberships(objects: Iterable[BuiltObject], copy: Path) -> Iterator[Finding]:
    """Rule: a cluster gets a shared definition because a line names it.

    For a folder without a kustomization, Flux makes one that lists all definitions below it. So a
    new one would reach the cluster though nobody has decided that.
    """
    for built in objects:
        path = flux_paths.applied_path(built.manifest)
        if path is None or built.spec.get("kubeConfig"):
            continue
        folder = copy / path
        is_folder = os.path.isdir(folder)  # noqa: PTH112 - accepts any name
        if is_folder and kustomization_file(folder) is None:
            below = [name for name in generated_resources(folder) if (folder / name).is_dir()]
            if below:
                yield built.finding(
                    f"spec.path {path} has no kustomization.yaml, so Flux applies whatever is "
                    f"below it ({listed(below)}); add one that names each folder"
                )


@finds(Rule.CONFIG_MAP)
def missing_values(objects: Objects, of_flux: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: this cluster has the ConfigMaps that values come from. Secrets may be in no file."""
    known = {(built.namespace, built.name) for built in objects.of_kinds("ConfigMap")}
    for built in of_flux:
        if not built.is_flux_applier:
            continue
        for path in _VALUE_LISTS:
            for source in mappings_in(mapping_at(built.spec, *path[:-1]).get(path[-1])):
                name = str(source.get("name"))
                if source.get("kind") != "ConfigMap" or source.get("optional") is True:
                    continue
                if (built.namespace, name) not in known and not built.is_unknown(name):
                    yield built.finding(
                        f"{path[-1]} names ConfigMap {name}, which this cluster does not have; "
                        "add it or correct the name",
                        near=f"name: {name}",
                    )


def _source_references(
    objects: Iterable[BuiltObject],
) -> Iterator[tuple[BuiltObject, str, Fields]]:
    """Yield each reference of Flux's objects to a source, with the object and the key."""
    for built in objects:
        for path in _REFERENCES:
            if reference := mapping_at(built.spec, *path):
                yield built, path[-1], reference
        key, kind = _WITHOUT_KIND.get(built.kind, ("", ""))
        if reference := mapping_at(built.spec, key):
            yield built, key, {**reference, "kind": kind}
