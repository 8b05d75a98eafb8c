"""The rules about objects that make Flux apply or fetch something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube import namespaces
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.render import flux

# The mappings in the spec of a Flux object that name another object of its own namespace.
_REFERENCES = (("sourceRef",), ("chartRef",), ("chart", "spec", "sourceRef"))
# A controller makes these objects, so they are in no repository.
_MADE_IN_CLUSTER = ("ExternalArtifact",)
# The lists of references to ConfigMaps and Secrets.
_VALUE_LISTS = (("valuesFrom",), ("postBuild", "substituteFrom"))


def findings(objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Apply the rules below to all objects of one cluster."""
    of_flux = [built for built in objects if built.is_of_flux]
    yield from missing_dependencies(of_flux)
    yield from missing_accounts(of_flux)
    yield from sources_in_other_namespaces(of_flux)
    yield from missing_sources(objects)
    yield from missing_values(objects)


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
                    f"dependsOn names {name}, which this cluster does not have; correct it"
                )


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


def sources_in_other_namespaces(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Rule: the source is in the same namespace; `fleet.render.flux.FLAGS` refuses any other."""
    for built, key, reference in _source_references(objects):
        namespace = reference.get("namespace")
        if namespace not in (None, built.namespace):
            yield built.finding(
                f"{key} names namespace {namespace}, which Flux refuses; "
                "keep the source in the same namespace"
            )


def missing_sources(objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Rule: this cluster has the source that a Flux object names."""
    references = [*_source_references(objects)]
    kinds = {str(reference.get("kind")) for _, _, reference in references}
    sources = [built for built in objects if built.kind in kinds]
    known = {(built.kind, built.namespace, built.name) for built in sources}
    for built, key, reference in references:
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        if reference.get("namespace") not in (None, built.namespace) or built.is_unknown(name):
            continue
        if kind not in _MADE_IN_CLUSTER and (kind, built.namespace, name) not in known:
            yield built.finding(
                f"{key} names {kind} {name}, which this cluster does not have; add it or correct "
                "the name"
            )


def missing_values(objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Rule: this cluster has the ConfigMaps that values come from. Secrets may be in no file."""
    known = {(built.namespace, built.name) for built in objects if built.kind == "ConfigMap"}
    for built in objects:
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
                        "add it or correct the name"
                    )


def _source_references(
    objects: Iterable[BuiltObject],
) -> Iterator[tuple[BuiltObject, str, Fields]]:
    """Yield each reference to a source, with the object that has it and its key."""
    for built in objects:
        if not built.is_of_flux:
            continue
        for path in _REFERENCES:
            if reference := mapping_at(built.spec, *path):
                yield built, path[-1], reference
