"""The Flux objects of a cluster, and the flags of its controllers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleet.config.models import Stack
from fleet.config.tenant import Tenant
from fleet.kube import yaml_reader
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render.layout import PLATFORM_ACCOUNT, PULL_SECRET, SYNC_NAME, TENANTS
from fleet.render.stages import Stage


def sync(stack: Stack) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the GitRepository and the root Kustomization, for exactly this cluster's path."""
    repository = stack.config.repository
    metadata = {"name": SYNC_NAME, "namespace": FLUX_NAMESPACE}
    source_spec: dict[str, Any] = {
        "interval": "1m0s",
        "ref": {"branch": repository.branch},
        "url": repository.pull_url,
    }
    if stack.config.pull_token is not None:
        source_spec["secretRef"] = {"name": PULL_SECRET}
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata,
        "spec": source_spec,
    }
    root = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        # The first `pulumi up` ends when Flux has applied the entrypoint. Of the source it awaits
        # every pull by an annotation of its own, which this file may not have.
        "metadata": {**metadata, "annotations": {"pulumi.com/waitFor": "condition=Ready"}},
        "spec": {
            "interval": "10m0s",
            "path": f"./{stack.path}",
            "prune": True,
            "serviceAccountName": PLATFORM_ACCOUNT,
            "sourceRef": {"kind": "GitRepository", "name": SYNC_NAME},
        },
    }
    return source, root


def platform_account() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the account of the platform's own Flux Kustomizations and HelmReleases.

    They install CRDs, namespaces and controllers, so it may do everything.
    """
    # Flux needs it to remove what it applied; pruned first, the rest would stay for ever.
    annotations = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": PLATFORM_ACCOUNT,
            "namespace": FLUX_NAMESPACE,
            "annotations": annotations,
        },
        # No pod runs as it: Flux's controllers only impersonate it.
        "automountServiceAccountToken": False,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{FLUX_NAMESPACE}-{PLATFORM_ACCOUNT}", "annotations": annotations},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": PLATFORM_ACCOUNT, "namespace": FLUX_NAMESPACE}
        ],
    }
    return account, binding


def stage_kustomization(stack: Stack, stage: Stage, earlier: Sequence[str]) -> dict[str, Any]:
    """Return the Flux Kustomization of a stage, which waits for the `earlier` ones."""
    # What depends on this stage starts when its objects are healthy, not when they are sent.
    return _delivery(stack, stage.value, earlier, wait=True, folder=stage.value)


def tenant_kustomization(stack: Stack, staged: Iterable[Stage], tenant: Tenant) -> dict[str, Any]:
    """Return the Flux Kustomization of a tenant's folder, which no other one waits for."""
    # One a team, beside apps and without waiting: what is refused or broken of a team is nobody
    # else's matter, and kustomize takes the square of the objects that it builds at once.
    earlier = [stage.value for stage in staged if stage is not Stage.APPS]
    folder = f"{TENANTS}/{tenant.name}"
    return _delivery(stack, f"tenant-{tenant.name}", earlier, wait=False, folder=folder)


def _delivery(
    stack: Stack, name: str, earlier: Sequence[str], *, wait: bool, folder: str
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "interval": "5m",
        "retryInterval": "1m",
        "timeout": "5m",
        "prune": True,
        "wait": wait,
        "serviceAccountName": PLATFORM_ACCOUNT,
        "sourceRef": {"kind": "GitRepository", "name": SYNC_NAME},
        "path": f"./{stack.path}/{folder}",
    }
    if earlier:
        spec["dependsOn"] = [{"name": stage} for stage in earlier]
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": FLUX_NAMESPACE},
        "spec": spec,
    }


# Flags that Flux's controllers get beyond their release's, each with the controllers that have it.
# The first three keep tenants apart: a custom resource may refer to its own namespace only, a
# kustomization builds from its own repository only, and what names no account is applied with the
# rights of its namespace's `default`, which are none. source-controller has nothing of the kind: no
# source refers to anything of another namespace.
FLAGS: Mapping[str, Sequence[str]] = {
    "--no-cross-namespace-refs=true": (
        "kustomize-controller",
        "helm-controller",
        "notification-controller",
        "image-reflector-controller",
        "image-automation-controller",
    ),
    "--no-remote-bases=true": ("kustomize-controller",),
    "--default-service-account=default": ("kustomize-controller", "helm-controller"),
    # How soon Flux looks again at what something waits for: at its own 30 s, a commit takes minutes
    # through infra, policies, apps and tenants.
    "--requeue-dependency=5s": ("kustomize-controller", "helm-controller"),
}


# Flux's controllers are the first and only container of their Deployments.
_ARGS = "/spec/template/spec/containers/0/args"


def flag_patches() -> list[dict[str, Any]]:
    """Return FLAGS as kustomize patches, for the tree."""
    return [
        {
            "target": {"kind": "Deployment", "name": f"({'|'.join(controllers)})"},
            "patch": json.dumps([{"op": "add", "path": f"{_ARGS}/-", "value": flag}]),
        }
        for flag, controllers in FLAGS.items()
    ]


def with_flags(manifests: str) -> list[dict[str, Any]]:
    """Return the objects of the install manifests as kustomize makes them of `flag_patches`."""
    objects: list[dict[str, Any]] = [
        document for document in yaml_reader.documents(manifests) if document is not None
    ]
    for item in objects:
        for flag, controllers in FLAGS.items():
            if item["kind"] == "Deployment" and item["metadata"]["name"] in controllers:
                item["spec"]["template"]["spec"]["containers"][0]["args"].append(flag)
    return objects


def apply_waves(objects: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return objects in the order in which they may be applied."""
    first = [o for o in objects if o["kind"] in ("Namespace", "CustomResourceDefinition")]
    controllers = [o for o in objects if o["kind"] == "Deployment"]
    rest = [o for o in objects if o not in first and o not in controllers]
    return [first, rest, controllers]
