"""Fleets of any size to measure: 20 apps for each cluster, half of them shared by all clusters.

Clusters are in three environments. The other half of the apps has an overlay for each environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from fleet.config import stack_files

ENVIRONMENTS = ("dev", "test", "prod")
_APPS = 20
# The objects of each file of a folder.
Files = Mapping[str, Sequence[Mapping[str, object]]]
_PROJECT = {
    "name": "fleet",
    "runtime": "python",
    "config": {
        "fleet:repository": {"value": {"owner": "acme", "name": "platform"}},
        "fleet:flux": {"value": {"version": "v2.9.2"}},
    },
}


def make(root: Path, clusters: int) -> None:
    """Make a checkout with this number of clusters."""
    _write(root / stack_files.PROJECT_FILE, _PROJECT)
    names = [f"app-{index:02}" for index in range(_APPS)]
    namespaces = [_object("v1", "Namespace", name) for name in names]
    _folder(root / "infrastructure/namespaces/apps", {"namespaces.yaml": namespaces}, {})
    for index, name in enumerate(names):
        _app(root / f"apps/{name}", name, has_overlays=index >= _APPS // 2)
    for index in range(clusters):
        _stack(root, names, f"{ENVIRONMENTS[index % 3]}-{index}", ENVIRONMENTS[index % 3])


def _app(folder: Path, name: str, *, has_overlays: bool) -> None:
    labels = {"app": name}
    container = {
        "name": name,
        "image": f"registry.example.com/{name}:1.0.0",
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    objects: Files = {
        "deployment.yaml": [_object("apps/v1", "Deployment", name, name, deployment)],
        "service.yaml": [_object("v1", "Service", name, name, service)],
        "account.yaml": [_object("v1", "ServiceAccount", name, name)],
    }
    _folder(folder / "base", objects, {})
    for count, environment in enumerate(ENVIRONMENTS if has_overlays else (), start=1):
        replicas: dict[str, object] = {"replicas": [{"name": name, "count": count}]}
        _folder(folder / "overlays" / environment, {}, replicas, ["../../base"])


def _stack(root: Path, names: list[str], stack: str, environment: str) -> None:
    apps = [
        f"{name}/base" if index < _APPS // 2 else f"{name}/overlays/{environment}"
        for index, name in enumerate(names)
    ]
    cluster = {"kubeconfig": "kubeconfig", "context": stack, "environment": environment}
    config = {
        "fleet:cluster": cluster,
        "fleet:infrastructure": ["namespaces/apps"],
        "fleet:apps": apps,
    }
    _write(root / stack_files.own_file(stack), {"config": config})


def _object(
    api_version: str, kind: str, name: str, namespace: str = "", spec: object = None
) -> dict[str, object]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    content: dict[str, object] = {"apiVersion": api_version, "kind": kind, "metadata": metadata}
    return {**content, "spec": spec} if spec else content


def _folder(
    folder: Path,
    files: Files,
    more: Mapping[str, object],
    resources: list[str] | None = None,
) -> None:
    for name, objects in files.items():
        _write(folder / name, *objects)
    _write(folder / "kustomization.yaml", {"resources": resources or [*files], **more})


def _write(file: Path, *documents: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False))
