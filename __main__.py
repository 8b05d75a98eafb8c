"""Run one stack, which is one cluster: connections, Flux, tenants, tree, outputs."""

import os
import tempfile
from pathlib import Path

import pulumi

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.cluster_tree import ClusterTree, ClusterTreeArgs
from components.flux_installation import FluxInstallation, FluxInstallationArgs
from components.flux_sync import FluxSync, FluxSyncArgs
from components.github_connection import GitHubConnection, GitHubConnectionArgs
from components.tenants import register_tenants
from components.verification import Verification, verify
from fleet import files
from fleet.check import moves_in_cluster
from fleet.config import connection, engine, load, stack_files
from fleet.config.models import Stack
from fleet.errors import ConfigError, FleetError
from fleet.identity import provider_kubeconfig
from fleet.identity.inventories import Inventories
from fleet.render import (
    commit_order,
    commits,
    definition_build,
    flux,
    flux_release,
    layout,
    moves,
    outputs,
    place_moves,
    rendered_cluster,
    tree,
)


def main() -> None:
    """Register all resources of the stack that the engine runs."""
    root = Path.cwd()  # The engine runs a program in the folder of its project.
    stack = load.stack(root, pulumi.get_stack())
    config = pulumi.Config(stack_files.PROJECT)
    engine.refuse_conflicts(stack, root, os.environ, config.get)
    to_cluster = connection.of(stack)
    repository = stack.config.repository
    manifests = flux_release.read(stack.config.flux, root)
    token = pulumi.Config("github").require("token")
    verified, commit_waves = _verify(root, stack, manifests, token)
    # Without its former name, the engine would replace all that a renamed stack has.
    aliases = [pulumi.Alias(name=name) for name in place_moves.former_names(stack)]
    cluster = ClusterConnection(
        stack.name,
        ClusterConnectionArgs(
            cluster=stack.name,
            kubeconfig=provider_kubeconfig.render(root, stack.name, to_cluster, verified.uid),
            context=stack.config.cluster.context,
        ),
        pulumi.ResourceOptions(aliases=aliases),
    )
    github = GitHubConnection(
        stack.name,
        GitHubConnectionArgs(
            api_url=repository.api_url,
            owner=repository.owner,
            token=pulumi.Output.secret(token),
        ),
        pulumi.ResourceOptions(aliases=aliases),
    )
    waves = flux.apply_waves([*flux.with_flags(manifests), *flux.platform_account(stack)])
    installation = FluxInstallation(
        stack.name,
        FluxInstallationArgs(waves=waves, pull_token=config.get_secret("pullToken")),
        pulumi.ResourceOptions(provider=cluster.provider, aliases=aliases),
    )
    needs = register_tenants(stack, root, installation, [cluster.provider, github.provider])
    cluster_tree = ClusterTree(
        stack.name,
        ClusterTreeArgs(
            repository=repository.name,
            branch=repository.branch,
            messages=commits.commit_messages(stack, verified.files),
            waves=commit_waves,
            entrypoint=f"{stack.path}/{layout.ENTRYPOINT}",
            needs=needs,
            existing=verified.existing,
            former=verified.former_tree,
        ),
        pulumi.ResourceOptions(provider=github.provider, aliases=aliases),
    )
    sync = FluxSync(
        stack.name,
        FluxSyncArgs(
            manifests=flux.sync(stack),
            flux=installation.resources,
            tree=cluster_tree.files,
            digest=cluster_tree.digest,
            takes_over=verified.takes_over,
        ),
        pulumi.ResourceOptions(provider=cluster.provider, aliases=aliases),
    )
    verified.confirm(cluster_tree, sync.resources)
    for key, value in outputs.stack_outputs(stack, to_cluster.path()).items():
        pulumi.export(key, value)


def _verify(
    root: Path, stack: Stack, manifests: str, token: str
) -> tuple[Verification, list[list[commit_order.Commit]]]:
    """Compare the stack with its cluster and its repository; return the files and their order.

    The engine has to run nothing before both sides are known to agree. Raises FleetError.
    """
    with definition_build.reader(root) as definitions:
        rendered = tree.render(stack, manifests, rendered_cluster.render(definitions, stack))
        verified = verify(stack, connection.of(stack).path(), rendered, token)
        verified.compare_definitions(root)
        verified.warn_about_namespaces()
        _refuse_moves(root, verified)
        return verified, commit_order.commit_waves(
            stack, verified.files, verified.committed, definitions.objects
        )


def _refuse_moves(root: Path, verified: Verification) -> None:
    """Raise ConfigError if Flux could delete an object that moves to another Kustomization."""
    stack = verified.stack
    if verified.is_reached and moves.takes_away(verified.committed, verified.files):
        context = stack.config.cluster.context
        inventories = Inventories(kubeconfig=verified.kubeconfig, context=context)
        if problems := moves_in_cluster.problems(root, stack, inventories):
            raise ConfigError(problems)


if __name__ == "__main__":
    tempfile.tempdir = files.folder_in_memory()
    try:
        main()
    except FleetError as error:
        # The engine prints the text of a RunError without a traceback.
        raise pulumi.RunError(str(error)) from None
