"""Types, objects and options that tests of several components use."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.github_connection import GitHubConnection, GitHubConnectionArgs
from tests.components.recording import UNKNOWN, Answer, Recording, Resource, run, unknown
from tests.support import REPOSITORY, manifest

# The UID of the cluster that the tests' kubeconfig leads to.
UID = "6a1f1c9e-6b0b-4c1d-9f57-0c8c2a2f9d11"
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
# The objects of MANIFESTS, in the order in which Kubernetes accepts them.
APPLY_WAVES = [
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


def as_applied(document: Mapping[str, Any], kustomization: str = "flux-system") -> dict[str, Any]:
    """Return the object as `apply_once` sends it: with Flux's labels, and Flux as its manager."""
    annotations = {
        "pulumi.com/patchFieldManager": "kustomize-controller",
        "pulumi.com/patchForce": "true",
    }
    if document["kind"] == "GitRepository":
        annotations["pulumi.com/skipAwait"] = "true"
    metadata = document["metadata"]
    annotations |= metadata.get("annotations", {})
    labels = {
        **metadata.get("labels", {}),
        "kustomize.toolkit.fluxcd.io/name": kustomization,
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    changed = {**metadata, "labels": labels, "annotations": annotations}
    return {**document, "metadata": changed}


def decoded(value: object) -> object:
    """Return an input of a provider; inputs that are no text travel as JSON."""
    return json.loads(value) if isinstance(value, str) else value


def options_on_github(token: str = "hunter2") -> pulumi.ResourceOptions:  # noqa: S107 - a test's
    """Return options with a connection to GitHub."""
    args = GitHubConnectionArgs(
        api_url="https://api.github.com/",
        owner="acme",
        token=unknown() if token == UNKNOWN else pulumi.Output.secret(token),
    )
    return pulumi.ResourceOptions(provider=GitHubConnection("dev", args).provider)


def engine_config(root: Path) -> dict[str, str]:
    """Return the config of stack dev as the engine reads it from the files in `root`."""
    project = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    own = yaml.safe_load((root / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    shared = {key: item["value"] for key, item in project.items()}
    return {key: json.dumps(value) for key, value in (shared | own).items()}


def run_program(
    values: Mapping[str, str],
    *,
    preview: bool = False,
    found: Mapping[str, Answer] | None = None,
) -> Recording:
    """Run `__main__.py` in the current folder; `values` is the config that the engine gives it."""

    def program() -> None:
        runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")

    return run(program, preview=preview, values=values, found=found)


def void(_: object) -> None:
    """Return nothing: the engine would await what a program returns."""
