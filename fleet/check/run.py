"""The run of all checks, before a change is merged.

Each cluster is built from a copy that has only what its Flux fetches and the cluster's own tree.
Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections import ChainMap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from fleet import forks
from fleet.check import (
    accepted,
    cluster_rules,
    finished_moves,
    moved_objects,
    overlays,
    part,
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
from fleet.check.part import Clusters, Part, Whole
from fleet.check.rules import Rule, of_rule
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.inventory import build, model
from fleet.inventory.build import Repository
from fleet.inventory.model import Fleet, Progress
from fleet.inventory.objects import Objects

# Fewer clusters than these are checked sooner than another process has begun.
_MIN_CLUSTERS = 100


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
    progress: Progress,
    options: Options | None = None,
) -> Report:
    """Check the clusters of all stacks, given as (stack, Flux's own manifests or None)."""
    options = options or Options()
    report = Report(clusters=len(stacks))
    acceptances = accepted.read(root)
    schemas.require_programs()
    of_checkout = [stack for stack, _ in stacks]
    with tempfile.TemporaryDirectory(prefix="fleet-check-") as folder:
        whole = _whole(root, Path(folder), stacks, options)
        others = []
        if options.clones is not None:
            progress("building the tenants' folders")
            others.append(_tenants_objects(options.clones, of_checkout, report))
        parts = _parts(stacks, others)
        if len(parts) > 1:
            whole = whole.without_threads()
        wholes = [whole, *(whole.apart(f"part-{found.number}") for found in parts[1:])]
        checked = forks.results(
            [*zip(wholes, parts, strict=True)],
            lambda share, exchange: part.check(
                *share, exchange, _nothing_said if share[1].number else progress
            ),
        )
        report.findings += cluster_rules.folders_without_stack(root, of_checkout)
        report.findings += overlays.findings(whole.repository, of_checkout)
        of_no_cluster = Fleet(root=root, repository=whole.repository, clusters={})
        report.findings = places.of_fleet(of_no_cluster, report.findings)
        _add(report, checked, whole.repository, with_audit=options.audit)
    accepted.apply(acceptances, report)
    report.unused += [
        *used_decisions.lines(root, of_checkout),
        *finished_moves.lines(root, of_checkout),
    ]
    if all(found.is_complete for found in checked):
        used = ChainMap(*(found.facts for found in checked))
        report.unused += variables.unused(root, [(item, used[item.name]) for item in of_checkout])
    return report


def _nothing_said(_: str) -> None:
    """Say nothing: the progress of one process is enough."""


def _whole(
    root: Path, folder: Path, stacks: Sequence[tuple[Stack, str | None]], options: Options
) -> Whole:
    """Read what all clusters have in common, and start its builds."""
    locations = schemas.locations(options.schema_locations)
    with ThreadPoolExecutor(max_workers=1) as beside:
        former = beside.submit(moved_objects.read, root, options.since, folder / "former")
        repository = build.pack_and_start(root, folder / "repository", stacks)
        return Whole(
            root=root,
            folder=folder,
            repository=repository,
            schemas=locations,
            has_own_schemas=not options.schema_locations,
            with_audit=options.audit,
            crds=[*definitions.crds(repository.copy)],
            namespace_folders=definitions.namespace_folders(repository.copy),
            facts=frozenset(name for stack, _ in stacks for name in stack.config.facts),
            former=former.result(),
        )


def _tenants_objects(clones: Path, stacks: Sequence[Stack], report: Report) -> Objects:
    """Add to the report what is wrong in tenants' repositories; return the objects in these."""
    tenants = tenant_findings.check_tenants(clones, stacks)
    report.findings += of_rule(Rule.TENANT, tenants.findings)
    report.tenants = tenants.checked
    report.not_checked += tenants.not_checked
    return Objects.of(tenants.objects)


def _parts(stacks: Sequence[tuple[Stack, str | None]], others: Sequence[Objects]) -> list[Clusters]:
    """Return all clusters in parts, one for each process that is worth its beginning."""
    count = max(1, min(forks.MOST, len(stacks) // _MIN_CLUSTERS))
    size = math.ceil(len(stacks) / count)
    return [
        Clusters(
            stacks=stacks[number * size : (number + 1) * size],
            number=number,
            count=count,
            others=() if number else others,
        )
        for number in range(count)
    ]


def _add(
    report: Report, checked: Sequence[Part], repository: Repository, *, with_audit: bool
) -> None:
    """Add to the report what was found in all parts of a fleet."""
    for found in checked:
        report.objects += found.objects
        report.findings += found.findings
        report.behind += found.behind
        report.without_schema += found.without_schema
    report.behind += model.by_text(chain.from_iterable(found.older for found in checked))
    judgements = {name: item for found in checked for name, item in found.judgements.items()}
    policy_findings.add(report, judgements, with_audit=with_audit)
    known = ChainMap(*(found.places for found in checked))
    report.findings = [
        item
        if item.source
        else dataclasses.replace(item, source=known.get((item.file, item.object)))
        for item in sorted(set(report.findings))
    ]
    report.not_checked += model.by_text(chain.from_iterable(found.elsewhere for found in checked))
    if all(found.is_complete for found in checked):
        used = set().union(*(found.definitions for found in checked))
        report.notes += unused_definitions.lines(repository, used)
        report.notes += references.lines(set().union(*(found.needed for found in checked)))
