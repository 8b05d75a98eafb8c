"""Fleets of any size to measure: 20 apps for each cluster, half of them shared by all clusters.

Clusters are in three environments, and each has a domain of its own. The other half of the apps has
an overlay for each environment and a host below that domain.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from fleet.config import stack_files

ENVIRONMENTS = ("dev", "test", "prod")
_APPS = 20
_SHARED = _APPS // 2
# The last shared app has a Flux Kustomization of its own, which brings a second one.
PARENT = f"app-{_SHARED - 1:02}"
# In the overlay of this app, prod sets a memory limit of its own.
PINNED = f"app-{_SHARED:02}"
_CONFIG_MAPS = 3
# Another app has an object of a kind that the second Flux Kustomization brings.
_WIDGET_OWNER = f"app-{_SHARED - 2:02}"
_LIMIT = "/spec/template/spec/containers/0/resources/limits/memory"
_PATCH = [{"op": "replace", "path": _LIMIT, "value": "128Mi"}]
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


def make(root: Path, clusters: int, tenants: int = 0) -> None:
    """Make a checkout with this number of clusters, and of tenants in each."""
    _write(root / stack_files.PROJECT_FILE, _PROJECT)
    names = [f"app-{index:02}" for index in range(_APPS)]
    namespaces = [_object("v1", "Namespace", name) for name in names]
    _folder(root / "infrastructure/namespaces/apps", {"namespaces.yaml": namespaces}, {})
    for index, name in enumerate(names):
        if name == PARENT:
            _nested_app(root, name)
        else:
            _app(root / f"apps/{name}", name, has_overlays=index >= _SHARED)
    for name, environment in _environments(clusters).items():
        config = _config(names, name, environment)
        if tenants:
            config["fleet:tenants"] = [_tenant(f"team-{number}") for number in range(tenants)]
        _write(root / stack_files.own_file(name), {"config": config})


def make_large(root: Path, apps: int) -> None:
    """Make a checkout with one cluster that has this number of apps, four objects each."""
    _write(root / stack_files.PROJECT_FILE, _PROJECT)
    # fleet refuses a build with more than 2,000 objects, so each stage has a half of them.
    stages: dict[str, dict[str, list[Mapping[str, object]]]] = {"namespaces": {}, "apps": {}}
    for name in [f"app-{index:04}" for index in range(apps)]:
        objects = _objects(name)
        account = objects.pop("account.yaml")
        stages["namespaces"][f"{name}.yaml"] = [_object("v1", "Namespace", name), *account]
        stages["apps"][f"{name}.yaml"] = [found for items in objects.values() for found in items]
    _folder(root / "infrastructure/namespaces/apps", stages["namespaces"], {})
    _folder(root / "apps/all", stages["apps"], {})
    config = {**_config([], "prod", "prod"), "fleet:apps": ["all"]}
    _write(root / stack_files.own_file("prod"), {"config": config})


def add_policies(root: Path, policies: Path) -> None:
    """Give all clusters the policies of a folder, which is copied into the checkout."""
    entry = "policies/benchmark"
    shutil.copytree(policies, root / "infrastructure" / entry)
    for file in root.glob("Pulumi.*.yaml"):
        content = yaml.safe_load(file.read_text())
        content["config"]["fleet:infrastructure"].append(entry)
        _write(file, content)


def _environments(clusters: int) -> dict[str, str]:
    """Return the environment of each cluster."""
    named = [(ENVIRONMENTS[index % 3], index) for index in range(clusters)]
    return {f"{environment}-{index}": environment for environment, index in named}


def change_base(root: Path, clusters: int, limit: str = "96Mi") -> list[str]:
    """Give a base another memory limit, and return the clusters that get it: prod has its own."""
    file = root / f"apps/{PINNED}/base/deployment.yaml"
    file.write_text(file.read_text().replace("64Mi", limit))
    found = _environments(clusters)
    return sorted(name for name, environment in found.items() if environment != "prod")


def remove_parent(root: Path) -> list[str]:
    """Remove a Flux Kustomization, and return the objects that each cluster loses by that."""
    _write(root / f"apps/{PARENT}/base/kustomization.yaml", {"resources": ["account.yaml"]})
    return sorted(
        [
            f"Kustomization flux-system/{PARENT}",
            f"Deployment {PARENT}/{PARENT}",
            f"Service {PARENT}/{PARENT}",
            f"Kustomization flux-system/{PARENT}-extras",
            *(f"ConfigMap {PARENT}/extra-{number}" for number in range(_CONFIG_MAPS)),
            f"Secret {PARENT}/{PARENT}",
            "CustomResourceDefinition widgets.example.com",
            f"Widget {_WIDGET_OWNER}/{_WIDGET_OWNER}",
        ]
    )


def _nested_app(root: Path, name: str) -> None:
    """Write an app whose workload is two Flux Kustomizations away from the cluster's list."""
    objects = _objects(name)
    extras = [
        *(_object("v1", "ConfigMap", f"extra-{number}", name) for number in range(_CONFIG_MAPS)),
        _object("v1", "Secret", name, name),
        _widget_definition(),
    ]
    parent = {"flux.yaml": [_flux_kustomization(name, f"apps/{name}/workload")]}
    child = {"flux.yaml": [_flux_kustomization(f"{name}-extras", f"apps/{name}/extras")]}
    account = {"account.yaml": objects.pop("account.yaml")}
    _folder(root / f"apps/{name}/base", {**account, **parent}, {})
    _folder(root / f"apps/{name}/workload", {**objects, **child}, {})
    _folder(root / f"apps/{name}/extras", {"extras.yaml": extras}, {})


def _app(folder: Path, name: str, *, has_overlays: bool) -> None:
    objects = _objects(name)
    if has_overlays:
        objects["ingress.yaml"] = [_ingress(name)]
    if name == _WIDGET_OWNER:
        objects["widget.yaml"] = [_object("example.com/v1", "Widget", name, name)]
    _folder(folder / "base", objects, {})
    for count, environment in enumerate(ENVIRONMENTS if has_overlays else (), start=1):
        fields: dict[str, object] = {"replicas": [{"name": name, "count": count}]}
        if (name, environment) == (PINNED, "prod"):
            fields["patches"] = [{"target": {"kind": "Deployment"}, "patch": json.dumps(_PATCH)}]
        _folder(folder / "overlays" / environment, {}, fields, ["../../base"])


def _objects(name: str) -> dict[str, list[Mapping[str, object]]]:
    """Return the objects of an app by their files."""
    labels = {"app": name}
    container = {
        "name": name,
        "image": f"registry.example.com/{name}:1.0.0",
        "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    return {
        "deployment.yaml": [_object("apps/v1", "Deployment", name, name, deployment)],
        "service.yaml": [_object("v1", "Service", name, name, service)],
        "account.yaml": [_object("v1", "ServiceAccount", name, name)],
    }


def _ingress(name: str) -> dict[str, object]:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rule = {"host": f"{name}.${{domain}}", "http": {"paths": [path]}}
    return _object("networking.k8s.io/v1", "Ingress", name, name, {"rules": [rule]})


def _widget_definition() -> dict[str, object]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    spec = {
        "group": "example.com",
        "names": {"kind": "Widget", "plural": "widgets"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    return _object(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.com", "", spec
    )


def _flux_kustomization(name: str, path: str) -> dict[str, object]:
    spec = {
        "interval": "5m",
        "prune": True,
        "serviceAccountName": "platform",
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "path": f"./{path}",
    }
    return _object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, "flux-system", spec)


def _tenant(name: str) -> dict[str, object]:
    return {"name": name, "repository": {"url": f"https://github.com/acme/{name}"}}


def _config(names: list[str], stack: str, environment: str) -> dict[str, object]:
    apps = [
        f"{name}/base" if index < _SHARED else f"{name}/overlays/{environment}"
        for index, name in enumerate(names)
    ]
    cluster = {"kubeconfig": "kubeconfig", "context": stack, "environment": environment}
    return {
        "fleet:cluster": cluster,
        "fleet:facts": {"domain": f"{stack}.example.com"},
        "fleet:infrastructure": ["namespaces/apps"],
        "fleet:apps": apps,
    }


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
