"""The check of some clusters of a fleet: it asks each of them everything, and nothing of others.

Another process may check the others. So a result has plain values only, which can be exchanged.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from fleet.check import (
    behind,
    cluster_rules,
    committed_trees,
    crds,
    json_schemas,
    known_results,
    moved_objects,
    places,
    policy_findings,
    references,
    schemas,
    unused_definitions,
    variables,
)
from fleet.check.moved_objects import Former, FormerTrees
from fleet.check.rules import Rule, of_rule
from fleet.check.scopes import Scopes
from fleet.config.models import Stack
from fleet.forks import Exchange
from fleet.inventory import model
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.finding import Finding, Place
from fleet.inventory.model import Progress
from fleet.inventory.objects import Objects
from fleet.kube import yaml_writer
from fleet.kube.manifest import Manifest
from fleet.kube.once import distinct
from fleet.policies import judgement
from fleet.policies.judgement import Judgement
from fleet.render import rendered_moves

# The stack and the build of each cluster.
_Builds = Sequence[tuple[Stack, ClusterBuild]]


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Some clusters: their stacks, each with Flux's install manifests, None without them.

    They are the part `number` of a fleet, from 0, of `count` ones. `others` are objects of no
    cluster, which are validated too.
    """

    stacks: Sequence[tuple[Stack, str | None]]
    number: int
    count: int
    others: Sequence[Objects] = ()

    def share_of(self, processors: int) -> int:
        """Return how many of some processors the check of these clusters may use."""
        return max(1, processors // self.count)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The repository and what the whole fleet has, which the checks of all parts have in common.

    `folder` is for temporary files of one part. `schemas` has the locations of JSON Schemas, which
    `fleet fetch` made if they are fleet's own. Moves are looked for since the commit `former`.
    """

    root: Path
    folder: Path
    repository: Repository
    schemas: Sequence[str]
    has_own_schemas: bool
    former: Former | None
    with_audit: bool
    crds: Sequence[Manifest]
    namespace_folders: Mapping[str, str]
    facts: frozenset[str]

    def without_threads(self) -> Whole:
        """Return the same, without threads; see `Repository.without_threads`."""
        return dataclasses.replace(
            self,
            repository=self.repository.without_threads(),
            former=self.former and self.former.without_threads(),
        )

    def apart(self, name: str) -> Whole:
        """Return the same with folders of its own, in which no other part writes."""
        folder = self.folder / name
        folder.mkdir()
        return dataclasses.replace(
            self,
            folder=folder,
            repository=self.repository.apart(folder / "repository"),
            former=self.former and self.former.apart(folder / "former"),
        )


@dataclass(kw_only=True)
class Part:
    """The findings about some clusters, and what the report of the fleet is made of.

    `older` and `elsewhere` have texts, each with the name of a cluster. `places` has those of the
    objects that policies are about, by path and name. `definitions` are the folders that clusters
    use, `needed` the objects that they need and no file has, and `facts` those that each cluster
    uses, by its name.
    """

    objects: int = 0
    is_complete: bool = True
    findings: list[Finding] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    older: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    places: dict[tuple[str, str], Place | None] = field(default_factory=dict)
    without_schema: Counter[str] = field(default_factory=Counter)
    definitions: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    facts: dict[str, set[str]] = field(default_factory=dict)


def check(whole: Whole, clusters: Clusters, exchange: Exchange, progress: Progress) -> Part:
    """Check some clusters. The CRDs of all parts are exchanged, so each part has to be checked."""
    part = Part()
    if clusters.number:
        # The first process removes this folder, even if it ends this one.
        tempfile.tempdir = str(whole.folder)
    with (
        yaml_writer.texts_kept_for(whole.root, clusters.number),
        ThreadPoolExecutor(clusters.share_of(schemas.PROCESSORS)) as beside,
    ):
        fleet = model.of_stacks(whole.repository, clusters.stacks, progress)
        builds = [(cluster.own_stack, cluster.build) for cluster in fleet.clusters.values()]
        objects = [*(cluster.objects for _, cluster in builds), *clusters.others]
        # No cluster gets a CRD from a tenant.
        own_crds = [crd for _, cluster in builds for crd in crds.of_objects(cluster.objects)]
        known_crds = [*chain.from_iterable(exchange(distinct(own_crds))), *whole.crds]
        part.objects = sum(map(len, objects))
        progress(f"validating {part.objects} objects")
        validation = _validation(whole, clusters, known_crds)
        # kubeconform runs while the other rules are applied.
        started = schemas.start(objects, validation, beside)
        differing = _compare_committed_trees(whole.root, builds, part)
        part.findings += _cluster_findings(whole, builds, known_crds)
        progress("comparing with the trees that are committed")
        if whole.former is not None:
            trees = FormerTrees(former=whole.former, now=whole.repository, differing=differing)
            part.findings += moved_objects.findings_of_all(trees, builds)
        part.judgements = policy_findings.judged(
            {stack.name: cluster for stack, cluster in builds},
            progress,
            with_audit=whole.with_audit,
            processors=clusters.share_of(judgement.PROCESSORS),
        )
        part.elsewhere += _elsewhere(builds)
        part.is_complete = all(cluster.is_complete for _, cluster in builds)
        if part.is_complete:
            part.definitions = unused_definitions.used(whole.repository, builds)
            part.needed = references.needed(builds)
            part.facts = {
                stack.name: variables.used_facts(cluster.uses) for stack, cluster in builds
            }
        findings, part.without_schema = started.finish()
        part.findings += of_rule(Rule.SCHEMA, findings)
        part.findings = places.of_fleet(fleet, sorted(set(part.findings)))
        placed = places.of_fleet(fleet, [*_about_policies(part.judgements)])
        part.places = {(found.file, found.object): found.source for found in placed}
    return part


def _validation(
    whole: Whole, clusters: Clusters, known_crds: Iterable[Manifest]
) -> schemas.Validation:
    """Write the schemas of CRDs below a folder; return how all objects are validated."""
    of_crds = whole.folder / "crds"
    crds.write_schemas(known_crds, of_crds)
    known = None
    # Nobody knows whether schemas of others have changed since the last run.
    if whole.has_own_schemas:
        program = schemas.kubeconform()
        known = known_results.file_of(whole.root, of_crds, program, clusters.number)
    of_repository = schemas.locations([str(of_crds)])
    return schemas.Validation(
        work=whole.folder,
        locations=[*of_repository, *whole.schemas],
        known=known,
        processors=clusters.share_of(schemas.PROCESSORS),
    )


def _compare_committed_trees(root: Path, builds: _Builds, part: Part) -> frozenset[str]:
    """Add to the part what differs between the trees of a checkout and those of the next `up`.

    Return the names of the stacks whose trees differ.
    """
    behind_definitions = set()
    for stack, cluster in builds:
        if stack.is_rendered and cluster.tree:
            committed = behind.read_tree(root, stack)
            if found := behind.line(stack, committed, cluster.files):
                part.behind.append(found)
                behind_definitions.add(stack.name)
            moves = rendered_moves.problems(stack, committed, cluster.files)
            found_moves = (Finding.of_line(line) for line in moves)
            part.findings += of_rule(Rule.MOVED_OBJECT, found_moves)
    trees = committed_trees.read(root, builds)
    part.findings += committed_trees.edited(trees)
    part.findings += committed_trees.hand_written(trees)
    # One line says enough about a tree.
    others = (tree for tree in trees if tree.stack.name not in behind_definitions)
    part.older += committed_trees.pending(others)
    return frozenset(tree.stack.name for tree in trees)


def _cluster_findings(
    whole: Whole, builds: _Builds, known_crds: Iterable[Manifest]
) -> Iterator[Finding]:
    scopes = Scopes(known_crds, json_schemas.folder())
    root = whole.root.resolve()
    for stack, cluster in builds:
        yield from of_rule(Rule.BUILD, cluster.findings)
        yield from variables.findings(root, stack, cluster.uses, whole.facts)
        # Rules about all objects would report objects that are only missing in a broken build.
        if cluster.is_complete:
            yield from cluster_rules.findings(stack, cluster, whole.namespace_folders, scopes)


def _about_policies(judgements: Mapping[str, Judgement]) -> Iterator[Finding]:
    """Yield an empty finding for each object that a policy refuses or reports."""
    for found in judgements.values():
        for verdict in (*found.refused, *found.reported):
            built = verdict.object
            yield Finding(file=built.path, object=built.display_name, problem="")


def _elsewhere(builds: _Builds) -> Iterator[tuple[str, str]]:
    """Yield a text for each Flux Kustomization whose objects are in another cluster."""
    for stack, cluster in builds:
        for item in cluster.unknown:
            yield stack.name, f"{item}; its objects are not checked"
