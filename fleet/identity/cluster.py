"""Reads a cluster with kubectl, so that every kind of credential in a kubeconfig works."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fleet import process
from fleet.errors import CommandError
from fleet.identity.reality import Cluster, Unreachable
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux, tenant_manifests
from fleet.render.place import Place

# An exec plugin may take some seconds, and a cluster that is down may not answer at all.
_REQUEST_SECONDS = 20
_SECONDS = 60
_KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
_ACCOUNT = f"/api/v1/namespaces/{FLUX_NAMESPACE}/serviceaccounts/{flux.PLATFORM_ACCOUNT}"
_SOURCE = (
    f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/gitrepositories/"
    f"{flux.SYNC_NAME}"
)
_KUSTOMIZATIONS = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/kustomizations"
_CONTROLLERS = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io/part-of%3Dflux"
_TENANTS = f"/api/v1/namespaces?labelSelector={tenant_manifests.LABEL}"
_OPERATORS = "/apis/fluxcd.controlplane.io/v1/fluxinstances"
_PATHS = (_ACCOUNT, _SOURCE, _KUSTOMIZATIONS, _CONTROLLERS, _TENANTS, _OPERATORS)
Object = Mapping[str, Any]


def read(kubeconfig: Path, context: str) -> Cluster | Unreachable:
    """Return the cluster that a context of a kubeconfig file reaches."""
    command = ["kubectl", "--kubeconfig", str(kubeconfig), "--context", context]
    command += [f"--request-timeout={_REQUEST_SECONDS}s", "get", "--raw"]

    def get(path: str) -> Object:
        return _object(command, path)

    try:
        # A cluster that is down is asked once, and an exec plugin gets its credential once.
        uid: str = get(_KUBE_SYSTEM)["metadata"]["uid"]
        with ThreadPoolExecutor(max_workers=len(_PATHS)) as pool:
            answers = dict(zip(_PATHS, pool.map(get, _PATHS), strict=True))
    except CommandError as error:
        return Unreachable(reason=str(error))
    except (LookupError, TypeError, ValueError):
        return Unreachable(reason="its answer is not one of Kubernetes")
    return cluster(uid, answers)


def cluster(uid: str, answers: Mapping[str, Object]) -> Cluster:
    """Return a cluster from the API server's answers by path; an empty one means not found."""
    source = answers[_SOURCE]
    specs = {
        item["metadata"]["name"]: item["spec"] for item in answers[_KUSTOMIZATIONS].get("items", ())
    }
    root = specs.pop(flux.SYNC_NAME, None)
    annotations = answers[_ACCOUNT].get("metadata", {}).get("annotations", {})
    account = (root or {}).get("serviceAccountName")
    tenants = {item["metadata"]["name"] for item in answers[_TENANTS].get("items", ())}
    controllers = {item["metadata"]["namespace"] for item in answers[_CONTROLLERS].get("items", ())}
    artifact = source.get("status", {}).get("artifact", {})
    return Cluster(
        uid=uid,
        follows=_place(source.get("spec"), root),
        pulled=artifact.get("revision", "").rpartition(":")[2],
        claim=annotations.get(flux.CLAIM, ""),
        # Earlier versions made the account without the annotation.
        installed_by_fleet=flux.CLAIM in annotations or account == flux.PLATFORM_ACCOUNT,
        kustomizations={name: _path(spec) for name, spec in specs.items()},
        # A tenant can label its Deployments as it likes, and has no right to run a Flux.
        controllers=tuple(sorted(controllers - tenants)),
        operators=tuple(
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for item in answers[_OPERATORS].get("items", ())
        ),
    )


def _place(source: Object | None, root: Object | None) -> Place | None:
    if source is None and root is None:
        return None
    ref = (source or {}).get("ref", {})
    other = ", ".join(f"{key} {value}" for key, value in sorted(ref.items()) if key != "branch")
    return Place(
        url=(source or {}).get("url", ""),
        branch=ref.get("branch") or other,
        path=_path(root or {}),
    )


def _path(spec: Object) -> str:
    path: str = spec.get("path", "")
    return path.removeprefix("./").strip("/")


def _object(command: list[str], path: str) -> Object:
    """Return the API server's answer to a path, empty if the cluster has no such object or kind."""
    try:
        found: Object = json.loads(process.run([*command, path], timeout=_SECONDS))
    except CommandError as error:
        if "Error from server (NotFound)" in str(error):
            return {}
        raise
    return found
