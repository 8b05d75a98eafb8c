"""The check of a Flux repository that fleet did not make.

It has only the rules that hold for every Flux. A cluster may get more from elsewhere than its files
say, so nothing is reported as missing where something is not known.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.check import (
    accepted,
    cluster_rules,
    crds,
    flux_rules,
    json_schemas,
    places,
    policy_findings,
    schemas,
)
from fleet.check.durations import too_long_durations
from fleet.check.findings import Report
from fleet.check.rules import Rule, finds, of_rule
from fleet.check.scopes import Scopes
from fleet.inventory import model
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.inventory.model import Cluster, Progress
from fleet.inventory.objects import Objects
from fleet.inventory.variables import VariableUse
from fleet.kube import substitution
from fleet.kube.fields import mappings_in
from fleet.kube.manifest import object_id
from fleet.kube.substitution import SWITCHED_OFF

_OPERATOR_KINDS = ("FluxInstance", "FluxReport", "ResourceSet", "ResourceSetInputProvider")
_LITERAL = f"annotate the object with {': '.join(*SWITCHED_OFF.items())} if it is meant as a text"


def check(
    root: Path, schema_locations: Iterable[str], progress: Progress, *, with_audit: bool = False
) -> Report:
    """Check all clusters of a repository. Raises FleetError."""
    acceptances = accepted.read(root)
    schemas.require_programs()
    locations = schemas.locations(list(schema_locations))
    report = Report()
    with (
        model.of_checkout(root, lambda *_: {}, progress) as fleet,
        tempfile.TemporaryDirectory(prefix="fleet-check-") as folder,
    ):
        clusters = list(fleet.clusters.values())
        known_crds = [crd for item in clusters for crd in crds.of_objects(item.build.objects)]
        scopes = Scopes(known_crds, json_schemas.folder())
        for cluster in clusters:
            report.findings += _findings(cluster, scopes)
        builds = {cluster.name: cluster.build for cluster in clusters}
        judgements = policy_findings.judged(builds, progress, with_audit=with_audit)
        policy_findings.add(report, judgements, with_audit=with_audit)
        report.clusters = len(clusters)
        report.objects = sum(len(item.build.objects) for item in clusters)
        progress(f"validating {report.objects} objects")
        of_crds = Path(folder) / "crds"
        crds.write_schemas(known_crds, of_crds)
        locations = [*schemas.locations([str(of_crds)]), *locations]
        judged = [Objects.of(map(_as_of_operator, item.build.objects)) for item in clusters]
        validation = schemas.Validation(work=Path(folder), locations=locations)
        findings, report.without_schema = schemas.validate(judged, validation)
        report.findings += of_rule(Rule.SCHEMA, findings)
        report.findings = places.of_fleet(fleet, sorted(set(report.findings)))
        report.not_checked += model.by_text(
            (cluster.name, f"{found}; its objects are not checked")
            for cluster in clusters
            for found in cluster.build.unknown
        )
    accepted.apply(acceptances, report)
    return report


def _as_of_operator(built: BuiltObject) -> BuiltObject:
    """Return an Alert without the kinds that only the Flux Operator adds to its schema."""
    sources = mappings_in(built.spec.get("eventSources"))
    kept = [source for source in sources if source.get("kind") not in _OPERATOR_KINDS]
    if built.kind != "Alert" or len(kept) in (0, len(sources)):
        return built
    spec = {**built.spec, "eventSources": kept}
    return dataclasses.replace(built, manifest={**built.manifest, "spec": spec})


def _findings(cluster: Cluster, scopes: Scopes) -> Iterator[Finding]:
    yield from of_rule(Rule.BUILD, cluster.build.findings)
    for use in cluster.build.uses:
        yield from _variables(cluster, use)
    objects = cluster.build.objects
    if cluster.build.is_complete:
        yield from cluster_rules.duplicates([cluster.path], objects)
        yield from cluster_rules.objects_without_namespace(objects, scopes)
    yield from cluster_rules.encrypted_objects(objects)
    yield from too_long_durations(objects)
    yield from flux_rules.dependency_cycles(objects)
    if not cluster.build.findings and not cluster.build.unknown:
        yield from flux_rules.missing_dependencies(objects)


@finds(Rule.VARIABLE)
def _variables(cluster: Cluster, use: VariableUse) -> Iterator[Finding]:
    """Yield a finding for each variable that Flux cannot read, or has no value for."""
    if not use.is_replaced:
        return
    problems = {}
    if use.refused:
        problems[use.refused] = "is no variable that Flux can read"
    for found in use.expressions:
        if found.name in use.missing and found.function not in substitution.DEFAULTS:
            problems[found.text] = "has no value, so Flux leaves nothing in its place"
    for text, problem in problems.items():
        yield Finding(
            file=use.path,
            object=str(object_id(use.manifest)),
            problem=f"{text} {problem} in {cluster.name}; correct it, or {_LITERAL}",
        )
