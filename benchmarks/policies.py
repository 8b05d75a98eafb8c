"""The policies of clusters, judged by `fleet check` and by `kyverno apply` alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import checkouts, fleets, measuring
from benchmarks.measuring import CHECKOUT, Cost, run
from fleet.cli import install_manifests
from fleet.inventory import model
from fleet.inventory.built_object import BuiltObject
from fleet.policies import policy
from fleet.policies.program import Kyverno
from fleet.policies.subject import NAME_LABEL

HEADING = (
    "clusters", "objects", "policies", "fleet cold", "fleet again", "kyverno apply",
    "cold/kyverno", "again/kyverno",
)  # fmt: skip
_APPS = 750
_CLUSTERS = 20
_SHARED = CHECKOUT / "infrastructure/policies/kyverno/shared"


def rows(kyverno: Kyverno) -> Iterator[Sequence[str]]:
    """Yield the cells of one large cluster, and of many small ones that share most objects."""
    with _checkout() as root:
        fleets.make_large(root, _APPS)
        yield _row(kyverno, root)
    with _checkout() as root:
        fleets.make(root, _CLUSTERS)
        yield _row(kyverno, root)


@contextmanager
def _checkout() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fleet-benchmark-") as folder:
        root = Path(folder) / "checkout"
        root.mkdir()
        yield root


def _row(kyverno: Kyverno, root: Path) -> Sequence[str]:
    fleets.add_policies(root, _SHARED)
    checkouts.render(root)
    command = measuring.fleet("check", "--audit", "--root", root)
    with measuring.empty_cache() as env:
        cold = run(command, env)
        again = measuring.best(lambda: run(command, env))
    folders = _write_clusters(root, root.with_name("plain"))
    plain = [_plain(kyverno, folder) for folder in folders.values()]
    seconds = sum(cost.seconds for cost in plain)
    counts = [len(objects) for objects in _objects(root).values()]
    policies = len(list(_SHARED.glob("*/*.yaml"))) - len(list(_SHARED.glob("*/kustomization.yaml")))
    return (
        str(len(folders)), str(sum(counts)), str(policies), str(cold), str(again),
        f"{seconds:.2f} s ({sum(cost.cpu for cost in plain):.2f} s CPU)",
        f"{cold.seconds / seconds:.3f}", f"{again.seconds / seconds:.3f}",
    )  # fmt: skip


def _objects(root: Path) -> dict[str, Sequence[BuiltObject]]:
    """Return the objects of each cluster."""
    with model.of_checkout(root, install_manifests.by_stack, lambda _: None) as fleet:
        return {name: cluster.objects for name, cluster in fleet.clusters.items()}


def _write_clusters(root: Path, target: Path) -> dict[str, Path]:
    """Write what `kyverno apply` reads of each cluster, and return the folders."""
    folders = {}
    for name, objects in _objects(root).items():
        folders[name] = target / name
        folders[name].mkdir(parents=True)
        spaces = {built.namespace for built in objects if built.namespace}
        values = {
            "apiVersion": "cli.kyverno.io/v1alpha1",
            "kind": "Values",
            "metadata": {"name": "values"},
            "namespaceSelector": [
                {"name": space, "labels": {NAME_LABEL: space}} for space in sorted(spaces)
            ],
        }
        files: dict[str, list[Any]] = {
            "policies.yaml": [built.manifest for built in objects if policy.is_policy(built)],
            "objects.yaml": [built.manifest for built in objects],
            "values.yaml": [values],
        }
        for file, documents in files.items():
            (folders[name] / file).write_text(yaml.safe_dump_all(documents))
    return folders


def _plain(kyverno: Kyverno, folder: Path) -> Cost:
    """Run `kyverno apply`, which fails because of the violations."""
    files = [folder / name for name in ("policies.yaml", "objects.yaml", "values.yaml")]
    script = '"$0" apply "$1" --resource "$2" --values-file "$3" --policy-report || true'
    return run(["sh", "-c", script, kyverno.path, *files], os.environ)
