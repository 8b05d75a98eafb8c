"""Run one stack, which is one cluster: connections, Flux, tenants, tree, outputs."""

import os
from pathlib import Path

import pulumi

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.cluster_tree import ClusterTree, ClusterTreeArgs
from components.flux_installation import FluxInstallation, FluxInstallationArgs
from components.flux_sync import FluxSync, FluxSyncArgs
from components.github_connection import GitHubConnection, GitHubConnectionArgs
from components.tenants import register_tenants
from fleet.config import engine, load, stack_files
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.render import (
    commits,
    definition_build,
    flux,
    flux_release,
    outputs,
    rendered_cluster,
    tree,
)


def main() -> None:
    """Register all resources of the stack that the engine runs."""
    root = Path.cwd()  # The engine runs a program in the folder of its project.
    stack = load.stack(root, pulumi.get_stack())
    config = pulumi.Config(stack_files.PROJECT)
    engine.refuse_conflicts(stack, root, os.environ, config.get)
    kubeconfig, context = engine.kubeconfig_path(stack), stack.config.cluster.context
    repository = stack.config.repository
    manifests = flux_release.read(stack.config.flux, root)
    files = _rendered_files(root, stack, manifests)
    cluster = ClusterConnection(
        stack.name,
        ClusterConnectionArgs(cluster=stack.name, kubeconfig=str(kubeconfig), context=context),
    )
    token = pulumi.Config("github").require_secret("token")
    github = GitHubConnection(
        stack.name,
        GitHubConnectionArgs(api_url=repository.api_url, owner=repository.owner, token=token),
    )
    waves = flux.apply_waves([*flux.with_flags(manifests), *flux.platform_account()])
    installation = FluxInstallation(
        stack.name,
        FluxInstallationArgs(waves=waves, pull_token=config.get_secret("pullToken")),
        pulumi.ResourceOptions(provider=cluster.provider),
    )
    needs = register_tenants(stack, root, installation, [cluster.provider, github.provider])
    cluster_tree = ClusterTree(
        stack.name,
        ClusterTreeArgs(
            repository=repository.name,
            branch=repository.branch,
            files=files,
            messages=commits.commit_messages(stack, files),
            waves=commits.commit_waves(stack, list(files)),
            needs=needs,
        ),
        pulumi.ResourceOptions(provider=github.provider),
    )
    FluxSync(
        stack.name,
        FluxSyncArgs(
            manifests=flux.sync(stack),
            flux=installation.resources,
            tree=cluster_tree.files,
            digest=cluster_tree.digest,
        ),
        pulumi.ResourceOptions(provider=cluster.provider),
    )
    for key, value in outputs.stack_outputs(stack, kubeconfig).items():
        pulumi.export(key, value)


def _rendered_files(root: Path, stack: Stack, manifests: str) -> dict[str, str]:
    """Return the files of the stack's tree. Raises FleetError."""
    with definition_build.reader(root) as definitions:
        return tree.render(stack, manifests, rendered_cluster.render(definitions, stack))


if __name__ == "__main__":
    try:
        main()
    except FleetError as error:
        # The engine prints the text of a RunError without a traceback.
        raise pulumi.RunError(str(error)) from None
