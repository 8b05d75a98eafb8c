"""Types, objects and options that tests of several components use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from components.github_connection import GitHubConnection, GitHubConnectionArgs
from tests.components.recording import UNKNOWN, Resource, unknown
from tests.support import manifest

STACK = "pulumi:pulumi:Stack"
CONNECTION = "fleet:index:ClusterConnection"
TREE = "fleet:index:ClusterTree"
FLUX = "fleet:index:FluxInstallation"
FLUX_SYNC = "fleet:index:FluxSync"
GITHUB_CONNECTION = "fleet:index:GitHubConnection"
TENANT = "fleet:index:Tenant"
TEAM_REPOSITORY = "fleet:index:TeamRepository"
KUBERNETES = "pulumi:providers:kubernetes"
GITHUB = "pulumi:providers:github"
PULL = "kubernetes:source.toolkit.fluxcd.io/v1:GitRepositoryPatch"
FILE = "github:index/repositoryFile:RepositoryFile"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
SOURCE = "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository"
DEPLOY_KEY = "github:index/repositoryDeployKey:RepositoryDeployKey"
REPOSITORY_ON_GITHUB = "github:index/repository:Repository"
TEAM_ACCESS = "github:index/teamRepository:TeamRepository"

LABELS = "  labels:\n    app.kubernetes.io/version: v2.9.2\n"
MANIFESTS = "---\n".join(
    [
        manifest("apps/v1", "Deployment", "source-controller", "flux-system", LABELS),
        manifest("v1", "ServiceAccount", "source-controller", "flux-system"),
        manifest(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "gitrepositories.source.toolkit.fluxcd.io",
        ),
        manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "crd-controller"),
        manifest("v1", "Namespace", "flux-system"),
    ]
)
# In the order in which Kubernetes can take them.
PLANTED = [
    {
        "CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io",
        "Namespace/flux-system",
    },
    {"ServiceAccount/flux-system/source-controller", "ClusterRole/crd-controller"},
    {"Deployment/flux-system/source-controller"},
]
ACCOUNT = {"ServiceAccount/flux-system/platform", "ClusterRoleBinding/flux-system-platform"}
PULLED = "GitRepositoryPatch/flux-system/flux-system"
SYNC = ["GitRepository/flux-system/flux-system", "Kustomization/flux-system/flux-system"]

# The Namespace and the GitRepository of the tenant billing.
NAMESPACE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "billing-dev", "labels": {"a": "b"}},
}
SOURCE_MANIFEST: Mapping[str, Any] = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "billing-repo", "namespace": "billing-dev"},
    "spec": {"url": "ssh://git@github.com/acme/billing-apps"},
}


def names(resources: list[Resource]) -> list[str]:
    return [resource.name for resource in resources]


def planted_as(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as it is planted: in the name of Flux, so that Git can change it all."""
    annotations = {"pulumi.com/patchFieldManager": "kustomize-controller"}
    metadata = document["metadata"]
    annotations |= metadata.get("annotations", {})
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def decoded(value: object) -> object:
    """A provider's inputs that are no text travel as JSON."""
    return json.loads(value) if isinstance(value, str) else value


def options_on_github(token: str = "hunter2") -> pulumi.ResourceOptions:  # noqa: S107 - a test's
    """Return options for what is on GitHub."""
    args = GitHubConnectionArgs(
        api_url="https://api.github.com/",
        owner="acme",
        token=unknown() if token == UNKNOWN else pulumi.Output.secret(token),
    )
    return pulumi.ResourceOptions(provider=GitHubConnection("dev", args).provider)


def void(_: object) -> None:
    """A program must return nothing; the engine would await it."""
