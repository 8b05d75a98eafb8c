"""Reads a cluster with kubectl, so that every kind of credential in a kubeconfig works."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fleet import process
from fleet.errors import CommandError
from fleet.identity.reality import Cluster, Unreachable
from fleet.kube.fields import mapping_at
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import facts, flux
from fleet.render.place import Place

# An exec plugin may take some seconds, and a cluster that is down may not answer at all.
_REQUEST_SECONDS = 20
_SECONDS = 60
_NO_KUBERNETES = "its answer is not one of Kubernetes"
_KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
_ACCOUNT = f"/api/v1/namespaces/{FLUX_NAMESPACE}/serviceaccounts/{flux.PLATFORM_ACCOUNT}"
_SOURCE = (
    f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/gitrepositories/"
    f"{flux.SYNC_NAME}"
)
_KUSTOMIZATIONS = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{FLUX_NAMESPACE}/kustomizations"
_CONTROLLERS = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io/part-of%3Dflux"
_TENANTS = f"/api/v1/namespaces?labelSelector={flux.TENANT_LABEL}"
_OPERATORS = "/apis/fluxcd.controlplane.io/v1/fluxinstances"
_PATHS = (_ACCOUNT, _SOURCE, _KUSTOMIZATIONS, _CONTROLLERS, _TENANTS, _OPERATORS)
# With these fields a Kustomization applies something else, or elsewhere, than its path has.
_CHANGING_FIELDS = (
    "commonMetadata", "components", "images", "kubeConfig", "namePrefix", "nameSuffix", "patches",
    "postBuild", "targetNamespace",
)  # fmt: skip
Object = Mapping[str, Any]


def read(kubeconfig: Path, context: str) -> Cluster | Unreachable:
    """Return the cluster that a context of a kubeconfig file reaches."""
    try:
        # A cluster that is down is asked once, and an exec plugin gets its credential once.
        found = uid(kubeconfig, context)
        with ThreadPoolExecutor(max_workers=len(_PATHS)) as pool:
            objects = pool.map(lambda path: _object(kubeconfig, context, path), _PATHS)
            answers = dict(zip(_PATHS, objects, strict=True))
    except CommandError as error:
        return Unreachable(reason=str(error))
    return cluster(found, answers)


def uid(kubeconfig: Path, context: str) -> str:
    """Return the UID of the cluster. Raises CommandError if the context reaches none."""
    try:
        found: str = _object(kubeconfig, context, _KUBE_SYSTEM)["metadata"]["uid"]
    except (LookupError, TypeError):
        raise CommandError(_NO_KUBERNETES) from None
    return found


def cluster(uid: str, answers: Mapping[str, Object]) -> Cluster:
    """Return a cluster from the API server's answers by path; an empty one means not found."""
    source = answers[_SOURCE]
    items = {item["metadata"]["name"]: item for item in answers[_KUSTOMIZATIONS].get("items", ())}
    applied = _applied_revision(items.get(flux.SYNC_NAME, {}))
    specs = {name: item["spec"] for name, item in items.items()}
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
        applied=applied,
        claim=annotations.get(flux.CLAIM, ""),
        # Earlier versions made the account without the annotation.
        installed_by_fleet=flux.CLAIM in annotations or account == flux.PLATFORM_ACCOUNT,
        kustomizations={name: _path(spec) for name, spec in specs.items()},
        facts=_texts(_applied_facts, items),
        messages=_texts(lambda item: _ready(item).get("message", ""), items),
        changing_fields=tuple(key for key in _CHANGING_FIELDS if key in (root or {})),
        # A tenant can label its Deployments as it likes, and has no right to run a Flux.
        controllers=tuple(sorted(controllers - tenants)),
        operators=tuple(
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for item in answers[_OPERATORS].get("items", ())
        ),
    )


def _texts(text_of: Callable[[Object], str], items: Mapping[str, Object]) -> dict[str, str]:
    """Return the text of each object by name, without empty ones."""
    return {name: text for name, item in items.items() if (text := text_of(item))}


def _applied_revision(kustomization: Object) -> str:
    """Return the revision that Flux has applied with a Kustomization as it is now, else nothing."""
    revision: str = kustomization.get("status", {}).get("lastAppliedRevision", "")
    return revision if _is_ready(kustomization) else ""


def _applied_facts(kustomization: Object) -> str:
    """Return the checksum of the facts that a Kustomization as it is now has applied."""
    values = mapping_at(kustomization, "spec", "postBuild", "substitute")
    return str(values.get(facts.CHECKSUM, "")) if _is_ready(kustomization) else ""


def _is_ready(kustomization: Object) -> bool:
    """Tell whether Flux has applied a Kustomization as it is now."""
    ready = _ready(kustomization)
    generation = kustomization.get("metadata", {}).get("generation")
    return ready.get("status") == "True" and ready.get("observedGeneration") == generation


def _ready(kustomization: Object) -> Object:
    conditions = kustomization.get("status", {}).get("conditions", ())
    return next((found for found in conditions if found["type"] == "Ready"), {})


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


def _object(kubeconfig: Path, context: str, path: str) -> Object:
    """Return the API server's answer to a path, empty if the cluster has no such object or kind.

    Raises CommandError.
    """
    command = ["kubectl", "--kubeconfig", str(kubeconfig), "--context", context]
    command += [f"--request-timeout={_REQUEST_SECONDS}s", "get", "--raw", path]
    try:
        found: Object = json.loads(process.run(command, timeout=_SECONDS))
    except CommandError as error:
        if "Error from server (NotFound)" in str(error):
            return {}
        raise
    except ValueError:
        raise CommandError(_NO_KUBERNETES) from None
    return found
