"""The run of all checks, before a change is merged.

Each cluster is built from a copy that has only what its Flux fetches and the cluster's own tree.
Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fleet.check import (
    accepted,
    behind,
    cluster_rules,
    committed_trees,
    crds,
    finished_moves,
    json_schemas,
    known_results,
    moved_objects,
    overlays,
    places,
    policy_findings,
    references,
    schemas,
    tenant_findings,
    unused_definitions,
    used_decisions,
    variables,
)
from fleet.check.findings import Report
from fleet.check.rules import Rule, of_rule
from fleet.check.scopes import Scopes
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.inventory import model
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube import yaml_writer
from fleet.kube.manifest import Manifest
from fleet.render import rendered_moves


@dataclass(frozen=True, kw_only=True)
class Options:
    """The parts of a check that can be chosen.

    With `clones`, a folder of clones of tenants' repositories, what these deploy is checked too.
    Other `schema_locations` replace the schemas that `fleet fetch` made. `since` is the commit that
    moves are looked for from; the last one if it is None. `audit` asks for what policies would only
    report.
    """

    clones: Path | None = None
    schema_locations: Sequence[str] = ()
    since: str | None = None
    audit: bool = False


def check_stacks(
    root: Path,
    stacks: Sequence[tuple[Stack, str | None]],
    progress: Callable[[str], None],
    options: Options | None = None,
) -> Report:
    """Check the clusters of all stacks, given as (stack, Flux's own manifests or None)."""
    options = options or Options()
    report = Report(clusters=len(stacks))
    acceptances = accepted.read(root)
    schemas.require_programs()
    locations = schemas.locations(options.schema_locations)
    of_checkout = [stack for stack, _ in stacks]
    report.findings += cluster_rules.folders_without_stack(root, of_checkout)
    with (
        yaml_writer.texts_kept_for(root),
        tempfile.TemporaryDirectory(prefix="fleet-check-") as folder,
        ThreadPoolExecutor(schemas.PROCESSORS) as beside,
    ):
        fleet = model.of_stacks(root, Path(folder) / "repository", stacks, progress)
        repository = fleet.repository
        builds = [(cluster.own_stack, cluster.build) for cluster in fleet.clusters.values()]
        objects = [cluster.objects for _, cluster in builds]
        known_crds = [
            *(crd for found in objects for crd in crds.of_objects(found)),
            *definitions.crds(repository.copy),
        ]
        if options.clones is not None:
            progress("building the tenants' folders")
            objects.append(_tenants_objects(options.clones, of_checkout, report))
        report.objects = sum(map(len, objects))
        progress(f"validating {report.objects} objects")
        validation = _validation(
            root, Path(folder), known_crds, locations, has_own_schemas=not options.schema_locations
        )
        # kubeconform runs while the other rules are applied.
        started = schemas.start(objects, validation, beside)
        differing = _compare_committed_trees(root, builds, report)
        report.findings += overlays.findings(repository, of_checkout)
        report.findings += _cluster_findings(repository, builds, known_crds)
        progress("comparing with the trees that are committed")
        former = moved_objects.former_trees(
            options.since, Path(folder) / "former", repository, differing
        )
        report.findings += moved_objects.findings_of_all(former, builds)
        clusters = {stack.name: cluster for stack, cluster in builds}
        policy_findings.add(report, clusters, progress, with_audit=options.audit)
        report.not_checked += _elsewhere(builds)
        findings, report.without_schema = started.finish()
        report.findings += of_rule(Rule.SCHEMA, findings)
        report.notes += _notes(repository, builds)
        report.findings = places.of_fleet(fleet, sorted(set(report.findings)))
    accepted.apply(acceptances, report)
    report.unused += [
        *used_decisions.lines(root, of_checkout),
        *finished_moves.lines(root, of_checkout),
        *_unused_facts(root, builds),
    ]
    return report


def _validation(
    root: Path,
    folder: Path,
    known_crds: Iterable[Manifest],
    locations: Sequence[str],
    *,
    has_own_schemas: bool,
) -> schemas.Validation:
    """Write the schemas of CRDs below a folder; return how all objects are validated."""
    of_crds = folder / "crds"
    crds.write_schemas(known_crds, of_crds)
    # Nobody knows whether schemas of others have changed since the last run.
    known = known_results.file_of(root, of_crds, schemas.kubeconform()) if has_own_schemas else None
    of_repository = schemas.locations([str(of_crds)])
    return schemas.Validation(work=folder, locations=[*of_repository, *locations], known=known)


def _tenants_objects(clones: Path, stacks: Sequence[Stack], report: Report) -> Objects:
    """Add to the report what is wrong in tenants' repositories; return the objects in these."""
    tenants = tenant_findings.check_tenants(clones, stacks)
    report.findings += of_rule(Rule.TENANT, tenants.findings)
    report.tenants = tenants.checked
    report.not_checked += tenants.not_checked
    return Objects.of(tenants.objects)


def _elsewhere(builds: Iterable[tuple[Stack, ClusterBuild]]) -> list[str]:
    """Return a line for each Flux Kustomization whose objects are in another cluster."""
    found = ((stack.name, str(item)) for stack, cluster in builds for item in cluster.unknown)
    return [f"{line}; its objects are not checked" for line in model.by_text(found)]


def _unused_facts(root: Path, builds: Iterable[tuple[Stack, ClusterBuild]]) -> Iterator[str]:
    """Yield a line for each unused fact, none if an object is missing that could use it."""
    found = [*builds]
    if all(cluster.is_complete for _, cluster in found):
        yield from variables.unused(root, [(stack, cluster.uses) for stack, cluster in found])


def _notes(repository: Repository, builds: Sequence[tuple[Stack, ClusterBuild]]) -> Iterator[str]:
    """Yield lines about what is no mistake, none if an object is missing that could change them."""
    if all(cluster.is_complete for _, cluster in builds):
        yield from unused_definitions.lines(repository, builds)
        yield from references.lines(builds)


def _compare_committed_trees(
    root: Path, builds: Sequence[tuple[Stack, ClusterBuild]], report: Report
) -> frozenset[str]:
    """Add to the report what differs between the trees of a checkout and those of the next `up`.

    Return the names of the stacks whose trees differ.
    """
    behind_definitions = set()
    for stack, cluster in builds:
        if stack.is_rendered and cluster.tree:
            committed = behind.read_tree(root, stack)
            if found := behind.line(stack, committed, cluster.files):
                report.behind.append(found)
                behind_definitions.add(stack.name)
            moves = rendered_moves.problems(stack, committed, cluster.files)
            found_moves = (Finding.of_line(line) for line in moves)
            report.findings += of_rule(Rule.MOVED_OBJECT, found_moves)
    trees = committed_trees.read(root, builds)
    report.findings += committed_trees.edited(trees)
    report.findings += committed_trees.hand_written(trees)
    # One line says enough about a tree.
    others = (tree for tree in trees if tree.stack.name not in behind_definitions)
    report.behind += committed_trees.pending(others)
    return frozenset(tree.stack.name for tree in trees)


def _cluster_findings(
    repository: Repository,
    builds: Sequence[tuple[Stack, ClusterBuild]],
    known_crds: Iterable[Manifest],
) -> Iterator[Finding]:
    known_facts = {name for stack, _ in builds for name in stack.config.facts}
    scopes = Scopes(known_crds, json_schemas.folder())
    namespace_folders = definitions.namespace_folders(repository.copy)
    for stack, cluster in builds:
        yield from of_rule(Rule.BUILD, cluster.findings)
        yield from variables.findings(repository.root.resolve(), stack, cluster.uses, known_facts)
        # Rules about all objects would report objects that are only missing in a broken build.
        if cluster.is_complete:
            yield from cluster_rules.findings(stack, cluster, namespace_folders, scopes)
