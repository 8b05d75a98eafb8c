"""What each cluster should hold, from the tree; what it holds, from the cluster; and the table."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.check.build import build_cluster
from fleet.config.definitions import SHARED_FOLDERS
from fleet.config.models import Stack
from fleet.kube import namespaces
from fleet.render import flux
from sandbox import platform_repository
from sandbox.kubernetes import clusters
from sandbox.sandbox_error import SandboxError

# Flux puts it on everything that it applies; teams' own Kustomizations are in other namespaces.
_APPLIED_FOR_PLATFORM = f"kustomize.toolkit.fluxcd.io/namespace={namespaces.FLUX_NAMESPACE}"
_KINDS = {
    "Namespace": "namespaces",
    "Deployment": "deployments",
    "HelmRelease": "helmreleases",
}
Found = Mapping[str, str]
Value = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One thing in one cluster: what is expected of it and what was found, "-" for nothing."""

    expected: str
    found: str


Table = Mapping[str, Mapping[str, Cell]]


def table(state: Path, stacks: Sequence[Stack]) -> Table:
    """Return thing -> cluster -> cell for everything that should be or is in some cluster."""
    wanted = {stack.name: expected(platform_repository.folder(state), stack) for stack in stacks}
    there = {stack.name: found(state, stack.name) for stack in stacks}
    things = sorted({thing for values in (*wanted.values(), *there.values()) for thing in values})
    return {
        thing: {
            name: Cell(expected=wanted[name].get(thing, "-"), found=there[name].get(thing, "-"))
            for name in wanted
        }
        for thing in sorted(things, key=lambda thing: (list(_KINDS).index(thing.split()[0]), thing))
    }


def expected(root: Path, stack: Stack) -> Found:
    """Return what the tree says that the cluster holds, by thing."""
    with tempfile.TemporaryDirectory() as folder:
        objects, findings = build_cluster(root, stack, None, Path(folder) / stack.name)
    if findings:
        raise SandboxError(str(findings[0]))
    values: dict[str, Value] = {
        "Namespace": lambda _: "yes",
        "Deployment": lambda content: str(content["spec"].get("replicas", 1)),
        "HelmRelease": lambda _: "ready",
    }
    return _by_thing((built.manifest for built in objects), values)


def found(state: Path, cluster: str) -> Found:
    """Return what the cluster holds of what Flux applied, by thing."""
    values: dict[str, Value] = {
        "Namespace": lambda content: "yes" if content["status"]["phase"] == "Active" else "ending",
        "Deployment": lambda content: str(content["status"].get("availableReplicas", 0)),
        "HelmRelease": lambda content: "ready" if is_ready(content) else "not ready",
    }
    objects = get(state, cluster, list(_KINDS.values()), _APPLIED_FOR_PLATFORM)
    return _by_thing(objects, values)


def _by_thing(objects: Iterable[Mapping[str, Any]], values: Mapping[str, Value]) -> Found:
    things: dict[str, str] = {}
    for content in objects:
        kind, metadata = content.get("kind", ""), content["metadata"]
        namespace = metadata.get("namespace")
        # Flux's own are planted and awaited by `up` itself.
        planted = kind != "HelmRelease" and namespaces.FLUX_NAMESPACE in (
            metadata["name"],
            namespace,
        )
        if kind in values and not planted:
            where = f" in {namespace}" if namespace else ""
            things[f"{kind} {metadata['name']}{where}"] = values[kind](content)
    return things


def get(
    state: Path, cluster: str, kinds: Sequence[str], selector: str = ""
) -> list[dict[str, Any]]:
    """Return the objects of these kinds in all namespaces of a cluster."""
    out = clusters.kubectl(
        state, cluster, "get", ",".join(kinds), "--all-namespaces", "-o", "json",
        f"--selector={selector}",
    )  # fmt: skip
    items: list[dict[str, Any]] = json.loads(out)["items"]
    return items


def is_ready(content: Mapping[str, Any]) -> bool:
    """Say whether an object is Ready in its present generation."""
    status = content.get("status", {})
    return status.get("observedGeneration") == content["metadata"]["generation"] and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions", ())
    )


def wait_converged(
    state: Path, names: Sequence[str], revision: str, seconds: float
) -> Mapping[str, float]:
    """Wait until every cluster's platform Kustomizations are Ready at a commit of the branch.

    Or at an earlier one that says the same about the cluster: `pulumi up` has Flux pull the last
    commit of its own stack, other stacks' later ones come by Flux's polling. Returns the seconds
    each cluster took. Raises SandboxError with what is not Ready, and why.
    """
    started = time.monotonic()
    platform_repository.fetch(state)
    took: dict[str, float] = {}
    while len(took) < len(names):
        for name in names:
            if name not in took and not (waiting := not_converged(state, name, revision)):
                took[name] = time.monotonic() - started
            elif name not in took and time.monotonic() - started > seconds:
                raise SandboxError(f"{name}: not within {seconds:.0f} s: {'; '.join(waiting)}")
        time.sleep(0.5)
    return took


def not_converged(state: Path, name: str, revision: str) -> list[str]:
    """Return what is not Ready at the commit, with the reason it gives."""
    waiting: list[str] = []
    for content in get(state, name, ["kustomizations.kustomize.toolkit.fluxcd.io"]):
        if content["metadata"]["namespace"] != namespaces.FLUX_NAMESPACE:
            continue  # a team's, which the platform does not wait for
        applied = content.get("status", {}).get("lastAppliedRevision", "")
        ours = content["spec"]["sourceRef"]["name"] == flux.SYNC_NAME
        if not is_ready(content) or (ours and not _says_the_same(state, name, applied, revision)):
            conditions = content.get("status", {}).get("conditions", ())
            reason = "; ".join(c["message"] for c in conditions if c["type"] == "Ready")
            waiting.append(f"{content['metadata']['name']}: {reason or 'not looked at yet'}")
    return waiting or ([] if _has_sync(state, name) else ["flux-system: not there"])


def _says_the_same(state: Path, name: str, applied: str, revision: str) -> bool:
    """Say whether what Flux applied, as main@sha1:<commit>, has the cluster's files of a commit."""
    folders = (f"clusters/{name}", *SHARED_FOLDERS)
    commit = applied.rpartition(":")[2]
    return bool(commit) and not platform_repository.changed(state, commit, revision, folders)


def _has_sync(state: Path, name: str) -> bool:
    return bool(get(state, name, ["gitrepositories.source.toolkit.fluxcd.io"]))


def mismatches(cells: Table) -> list[str]:
    """Return one line for each thing that is not as expected."""
    return [
        f"{cluster}: {thing}: expected {cell.expected}, found {cell.found}"
        for thing, row in cells.items()
        for cluster, cell in row.items()
        if cell.expected != cell.found
    ]


def as_text(cells: Table, names: Sequence[str]) -> str:
    """Return the table for people: expected/found in each cell."""
    width = max(len(thing) for thing in cells)
    lines = [" " * width + "".join(f"  {name:>13}" for name in names)]
    lines.append(" " * width + "".join(f"  {'expect/found':>13}" for _ in names))
    for thing, row in cells.items():
        marks = (
            f"{cell.expected}/{cell.found}" if {cell.expected, cell.found} != {"-"} else "-"
            for cell in (row[name] for name in names)
        )
        lines.append(thing.ljust(width) + "".join(f"  {mark:>13}" for mark in marks))
    return "\n".join(lines)
