"""What no schema finds: rules about all objects of one cluster together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fleet.check import build
from fleet.check.findings import Built, Finding
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.kube import namespaces, yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.render import flux, stages


def stray_clusters(root: Path, known: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding for each folder below clusters/ that has no stack."""
    folder = root / "clusters"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in known:
            yield Finding(
                file=f"clusters/{path.name}",
                object="",
                problem=f"no stack owns it; add Pulumi.{path.name}.yaml or remove the folder",
            )


def remote_bases(root: Path) -> Iterator[Finding]:
    """Yield a finding for each base that kustomize would fetch from the network."""
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
                            problem="is remote; keep a folder here, or use a Flux source",
                        )


def duplicates(stack: Stack, objects: Sequence[Built]) -> Iterator[Finding]:
    """Yield a finding for each object that two Flux paths of one cluster deliver."""
    owners: dict[str, str] = {}
    order = _order(stack)
    for built in sorted(objects, key=lambda built: _position(order, built.path)):
        key = f"{built.api[0].rpartition('/')[0]} {built.name}"
        first = owners.setdefault(key, built.path)
        # The root delivers its own sync object and is told to apply itself: the same file.
        if first != built.path:
            yield Finding(
                file=built.path,
                object=built.name,
                problem=f"is also delivered by {first}; keep one, or they take turns",
            )


def missing_namespaces(
    stack: Stack, objects: Sequence[Built], homes: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each object whose namespace this cluster does not create in time."""
    order = _order(stack)
    created: dict[str, int] = dict.fromkeys(
        namespaces.BUILT_IN_NAMESPACES | {namespaces.FLUX_NAMESPACE}, -1
    )
    for built in objects:
        if built.api == ("v1", "Namespace"):
            name = str(built.metadata.get("name"))
            created[name] = min(_position(order, built.path), created.get(name, len(order)))
    for built, namespace in ((b, needed) for b in objects for needed in _needed_namespaces(b)):
        if namespace not in created:
            home = homes.get(namespace)
            hint = f"{home} has it" if home else "no shared definition has it yet"
            problem = (
                f"namespace {namespace} is not created in this cluster; "
                f"add its folder to fleet:infrastructure in {stack.file} ({hint})"
            )
        elif created[namespace] > _position(order, built.path):
            problem = f"namespace {namespace} comes only in a later stage; move it to namespaces/"
        else:
            continue
        yield Finding(file=built.path, object=built.name, problem=problem)


def _order(stack: Stack) -> list[str]:
    """The paths that this cluster's stages are delivered from, first to last; teams are after."""
    return [
        stack.path,
        *(f"{stack.path}/{stage.value}" for stage in stages.entries_by_stage(stack)),
    ]


def _position(order: Sequence[str], path: str) -> int:
    return order.index(path) if path in order else len(order)


def _needed_namespaces(built: Built) -> list[str]:
    """Its own, and the one that a HelmRelease or a Flux Kustomization fills."""
    spec = built.content.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    needed = [built.metadata.get("namespace")]
    if built.api[1] == "HelmRelease" or build.is_flux_kustomization(built):
        install = spec.get("install")
        if not (isinstance(install, dict) and install.get("createNamespace")):
            needed.append(spec.get("targetNamespace"))
    return [str(namespace) for namespace in dict.fromkeys(needed) if namespace is not None]


def missing_dependencies(objects: Sequence[Built]) -> Iterator[Finding]:
    """Yield a finding for each `dependsOn` that names nothing of this cluster."""
    flux = [b for b in objects if build.is_flux_kustomization(b) or b.api[1] == "HelmRelease"]
    known = {(b.api[1], b.metadata.get("namespace"), b.metadata.get("name")) for b in flux}
    for built in flux:
        spec = built.content.get("spec")
        for needed in (spec.get("dependsOn") or ()) if isinstance(spec, dict) else ():
            key = (needed.get("namespace", built.metadata.get("namespace")), needed.get("name"))
            if (built.api[1], *key) not in known:
                yield Finding(
                    file=built.path,
                    object=built.name,
                    problem=f"dependsOn {key[1]}, which this cluster does not have",
                )


def refused_by_lockdown(objects: Iterable[Built]) -> Iterator[Finding]:
    """What `flux_manifests.FLAGS` makes Flux refuse, where it would be seen only later."""
    for built in objects:
        if not (build.is_flux_kustomization(built) or built.api[1] == "HelmRelease"):
            continue
        spec = built.content.get("spec")
        spec = spec if isinstance(spec, dict) else {}
        if not spec.get("serviceAccountName"):
            yield Finding(
                file=built.path,
                object=built.name,
                problem="spec.serviceAccountName is missing, so Flux may do nothing for it; "
                f"in {namespaces.FLUX_NAMESPACE} name {flux.PLATFORM_ACCOUNT}",
            )
        chart = spec.get("chart")
        chart_spec = chart.get("spec") if isinstance(chart, dict) else None
        for holder in (spec, chart_spec if isinstance(chart_spec, dict) else {}):
            for key in ("sourceRef", "chartRef"):
                reference = holder.get(key)
                other = reference.get("namespace") if isinstance(reference, dict) else None
                if other not in (None, built.metadata.get("namespace")):
                    yield Finding(
                        file=built.path,
                        object=built.name,
                        problem=f"{key} is to namespace {other}, which Flux refuses; "
                        "keep the source beside it",
                    )
