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
from components.verification import Verification, verify
from fleet.check import definition_objects, moves_in_cluster
from fleet.config import engine, load, stack_files
from fleet.errors import ConfigError, FleetError
from fleet.identity.inventories import Inventories
from fleet.render import commit_order, commits, flux, flux_release, layout, moves, outputs, tree
from fleet.render.commit_order import Commit


def main() -> None:
    """Register all resources of the stack that the engine runs."""
    root = Path.cwd()  # The engine runs a program in the folder of its project.
    stack = load.stack(root, pulumi.get_stack())
    config = pulumi.Config(stack_files.PROJECT)
    engine.refuse_conflicts(stack, root, os.environ, config.get)
    kubeconfig, context = engine.kubeconfig_path(stack), stack.config.cluster.context
    repository = stack.config.repository
    manifests = flux_release.read(stack.config.flux, root)
    token = pulumi.Config("github").require("token")
    # The engine has to run nothing before both sides are known to agree.
    verified = verify(stack, kubeconfig, tree.render(stack, manifests), token)
    files, commit_waves = verified.files, _commit_waves(root, verified)
    cluster = ClusterConnection(
        stack.name,
        ClusterConnectionArgs(cluster=stack.name, kubeconfig=str(kubeconfig), context=context),
    )
    github = GitHubConnection(
        stack.name,
        GitHubConnectionArgs(
            api_url=repository.api_url,
            owner=repository.owner,
            token=pulumi.Output.secret(token),
        ),
    )
    waves = flux.apply_waves([*flux.with_flags(manifests), *flux.platform_account(stack)])
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
            messages=commits.commit_messages(stack, files),
            waves=commit_waves,
            entrypoint=f"{stack.path}/{layout.ENTRYPOINT}",
            needs=needs,
        ),
        pulumi.ResourceOptions(provider=github.provider),
    )
    sync = FluxSync(
        stack.name,
        FluxSyncArgs(
            manifests=flux.sync(stack, prune=not verified.takes_over),
            flux=installation.resources,
            tree=cluster_tree.files,
            digest=cluster_tree.digest,
            takes_over=verified.takes_over,
        ),
        pulumi.ResourceOptions(provider=cluster.provider),
    )
    verified.confirm(cluster_tree, sync.resources)
    for key, value in outputs.stack_outputs(stack, kubeconfig).items():
        pulumi.export(key, value)


def _commit_waves(root: Path, verified: Verification) -> list[list[Commit]]:
    """Return the commits of the run in their order. Raises ConfigError if none is safe."""
    stack, former = verified.stack, verified.former
    if verified.is_reached and moves.takes_away(former, verified.files):
        context = stack.config.cluster.context
        inventories = Inventories(kubeconfig=verified.kubeconfig, context=context)
        if problems := moves_in_cluster.problems(root, stack, inventories):
            raise ConfigError(problems)
    with definition_objects.reader(root) as objects_of:
        return commit_order.commit_waves(stack, verified.files, former, objects_of)


if __name__ == "__main__":
    try:
        main()
    except FleetError as error:
        # The engine prints the text of a RunError without a traceback.
        raise pulumi.RunError(str(error)) from None
