"""Comparison of each cluster with the tree: the table, and the wait until Flux has applied it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fleet.check.tenant_findings import check_tenants
from fleet.config.definitions import SHARED_FOLDERS
from fleet.config.models import Stack
from fleet.inventory.build import build_cluster
from fleet.kube import namespaces
from fleet.render import flux
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.clusters import Clusters
from sandbox.platform_repository import PlatformRepository
from sandbox.sandbox_error import SandboxError

# Flux puts this label on all that it applies.
_APPLIED_BY_FLUX = urlencode({"labelSelector": "kustomize.toolkit.fluxcd.io/name"})
# The paths of lists in the API of a cluster.
_KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations"
_GIT_REPOSITORIES = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories"
_KINDS = {
    "Namespace": "/api/v1/namespaces",
    "Deployment": "/apis/apps/v1/deployments",
    "HelmRelease": "/apis/helm.toolkit.fluxcd.io/v2/helmreleases",
}
Values = Mapping[str, str]
ValueOfKind = Mapping[str, Callable[[Mapping[str, Any]], str]]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One object in one cluster: its expected and its found value, "-" for no object."""

    expected: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The cells of all clusters by object, a row for each object, and by cluster."""

    clusters: Sequence[str]
    rows: Mapping[str, Mapping[str, Cell]]

    def mismatches(self) -> list[str]:
        """Return one line for each object that is not as expected."""
        return [
            f"{cluster}: {name}: expected {cell.expected}, found {cell.found}"
            for name, row in self.rows.items()
            for cluster, cell in row.items()
            if cell.expected != cell.found
        ]

    def __str__(self) -> str:
        """Return the table for people, with expected/found in each cell."""
        width = max(len(name) for name in self.rows)
        lines = [" " * width + "".join(f"  {name:>13}" for name in self.clusters)]
        lines.append(" " * width + "".join(f"  {'expect/found':>13}" for _ in self.clusters))
        for name, row in self.rows.items():
            marks = (
                f"{cell.expected}/{cell.found}" if {cell.expected, cell.found} != {"-"} else "-"
                for cell in (row[cluster] for cluster in self.clusters)
            )
            lines.append(name.ljust(width) + "".join(f"  {mark:>13}" for mark in marks))
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Comparison of the clusters of one sandbox with the platform's repository."""

    clusters: Clusters
    platform_repository: PlatformRepository
    clones: Path
    """The folder with clones of the tenants' repositories."""

    def wait_until_expected(self, stacks: Sequence[Stack], seconds: float) -> Table:
        """Wait until all objects, also those of tenants, are as expected; return the last table."""
        deadline = time.monotonic() + seconds
        expected = {stack.name: self._expected(stack) for stack in stacks}
        while (table := self._table(expected)).mismatches() and time.monotonic() < deadline:
            time.sleep(0.5)
        return table

    def _table(self, expected: Mapping[str, Values]) -> Table:
        """Return the table of what is expected in each cluster and what it holds now."""
        found = {name: _found(self.clusters.cluster(name)) for name in expected}
        kinds = list(_KINDS)
        names = sorted(
            {name for values in (*expected.values(), *found.values()) for name in values},
            key=lambda name: (kinds.index(name.split()[0]), name),
        )
        rows = {
            name: {
                cluster: Cell(
                    expected=expected[cluster].get(name, "-"), found=found[cluster].get(name, "-")
                )
                for cluster in expected
            }
            for name in names
        }
        return Table(clusters=list(expected), rows=rows)

    def wait_converged(
        self, names: Sequence[str], revision: str, seconds: float
    ) -> Mapping[str, float]:
        """Wait until the platform's Kustomizations are Ready at a commit in all clusters.

        An earlier commit with the same files for the cluster is enough: `pulumi up` lets Flux pull
        the last commit of its own stack, and Flux pulls those of other stacks at its interval.
        Returns the seconds for each cluster. Raises SandboxError with the reasons of those that
        are not Ready in time.
        """
        started = time.monotonic()
        self.platform_repository.fetch()
        took: dict[str, float] = {}
        while len(took) < len(names):
            for name in names:
                if name in took:
                    continue
                waiting = self._not_converged(name, revision)
                if not waiting:
                    took[name] = time.monotonic() - started
                elif time.monotonic() - started > seconds:
                    reasons = "; ".join(waiting)
                    raise SandboxError(f"{name}: not Ready within {seconds:.0f} s: {reasons}")
            time.sleep(0.5)
        return took

    def _expected(self, stack: Stack) -> Values:
        """Return the objects that the tree and the tenants' repositories have for a cluster."""
        with tempfile.TemporaryDirectory() as folder:
            root, copy = self.platform_repository.folder, Path(folder) / stack.name
            objects, findings = build_cluster(root, stack, None, copy)
        tenants = check_tenants(self.clones, [stack])
        for finding in (*findings, *tenants.findings):
            raise SandboxError(str(finding))
        value_of_kind: ValueOfKind = {
            "Namespace": lambda _: "yes",
            "Deployment": lambda content: str(content["spec"].get("replicas", 1)),
            "HelmRelease": lambda _: "ready",
        }
        manifests = (built.manifest for built in (*objects, *tenants.objects))
        return _values(manifests, value_of_kind)

    def _not_converged(self, name: str, revision: str) -> list[str]:
        """Return the platform's Kustomizations that are not Ready at a commit, with the reason."""
        cluster = self.clusters.cluster(name)
        waiting: list[str] = []
        for content in cluster.objects(_KUSTOMIZATIONS):
            if content["metadata"]["namespace"] != namespaces.FLUX_NAMESPACE:
                continue  # The platform does not wait for tenants.
            applied = content.get("status", {}).get("lastAppliedRevision", "")
            from_platform = content["spec"]["sourceRef"]["name"] == flux.SYNC_NAME
            if is_ready(content) and (
                not from_platform or self._same_files(name, applied, revision)
            ):
                continue
            waiting.append(f"{content['metadata']['name']}: {_reason(content)}")
        if not waiting and not cluster.objects(_GIT_REPOSITORIES):
            return ["flux-system: no GitRepository"]
        return waiting

    def not_ready(self, name: str) -> list[str]:
        """Return one line for each Flux source and Kustomization of a cluster that is not Ready."""
        cluster = self.clusters.cluster(name)
        return [
            f"{name}: {content['kind']} {content['metadata']['name']}: {_reason(content)}"
            for path in (_GIT_REPOSITORIES, _KUSTOMIZATIONS)
            for content in cluster.objects(path)
            if not is_ready(content)
        ]

    def _same_files(self, name: str, applied: str, revision: str) -> bool:
        """Return whether the applied revision, main@sha1:<commit>, has the cluster's files."""
        folders = (f"clusters/{name}", *SHARED_FOLDERS)
        commit = applied.rpartition(":")[2]
        return bool(commit) and not self.platform_repository.changed(commit, revision, folders)


def _reason(content: Mapping[str, Any]) -> str:
    """Return why an object of Flux is not Ready."""
    conditions = content.get("status", {}).get("conditions", ())
    reason = "; ".join(c["message"] for c in conditions if c["type"] == "Ready")
    return reason or "not reconciled yet"


def is_ready(content: Mapping[str, Any]) -> bool:
    """Return whether an object is Ready in its present generation."""
    status = content.get("status", {})
    return status.get("observedGeneration") == content["metadata"]["generation"] and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions", ())
    )


def _found(cluster: Cluster) -> Values:
    """Return the objects that Flux has applied to the cluster."""
    value_of_kind: ValueOfKind = {
        "Namespace": lambda content: "yes" if content["status"]["phase"] == "Active" else "ending",
        "Deployment": lambda content: str(content["status"].get("availableReplicas", 0)),
        "HelmRelease": lambda content: "ready" if is_ready(content) else "not ready",
    }
    objects = (
        {"kind": kind, **content}
        for kind, path in _KINDS.items()
        for content in cluster.objects(f"{path}?{_APPLIED_BY_FLUX}")
    )
    return _values(objects, value_of_kind)


def _values(objects: Iterable[Mapping[str, Any]], value_of_kind: ValueOfKind) -> Values:
    values: dict[str, str] = {}
    for content in objects:
        kind, metadata = content.get("kind", ""), content["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        # `pulumi up` itself applies Flux's own namespace and Deployments and waits for them.
        of_flux = kind != "HelmRelease" and namespaces.FLUX_NAMESPACE in (name, namespace)
        if kind in value_of_kind and not of_flux:
            where = f" in {namespace}" if namespace else ""
            values[f"{kind} {name}{where}"] = value_of_kind[kind](content)
    return values
