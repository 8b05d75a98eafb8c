"""One stack, one cluster: decisions -> connections -> Flux -> tenants -> tree -> outputs."""

import os
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import pulumi

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.cluster_tree import ClusterTree, ClusterTreeArgs
from components.flux_installation import FluxInstallation, FluxInstallationArgs
from components.flux_sync import FluxSync, FluxSyncArgs
from components.github_connection import GitHubConnection, GitHubConnectionArgs
from components.github_repository import GitHubRepository, GitHubRepositoryArgs
from components.tenant_registration import DeployKeyArgs, TenantRegistration, TenantRegistrationArgs
from fleet import deploy_keys
from fleet.config import engine, load, outlines, stack_files
from fleet.config.models import Stack
from fleet.config.outlines import StackOutline
from fleet.config.tenant import Tenant, tenants_of
from fleet.errors import FleetError
from fleet.kube import namespaces
from fleet.render import (
    commits,
    flux,
    flux_release,
    layout,
    tenant_manifests,
    tenant_repository,
    tree,
)


def main() -> None:
    """Register everything of the stack that the engine is running."""
    root = Path.cwd()  # the engine runs a program in its project's folder
    stack = load.stack(root, pulumi.get_stack())
    config = stack.config
    engine.refuse_ambient(os.environ, stack)
    engine.same_as_engine(stack, root, _engine_config())
    engine.require_context(stack)
    components = flux_release.read(config.flux, root)
    files = tree.render(stack, components)

    connection = ClusterConnection(
        stack.name,
        ClusterConnectionArgs(
            cluster=stack.name,
            kubeconfig=str(engine.path(stack)),
            context=config.cluster.context,
        ),
    )
    github = GitHubConnection(
        stack.name,
        GitHubConnectionArgs(
            api_url=config.repository.api_url,
            owner=config.repository.owner,
            token=pulumi.Config("github").require_secret("token"),
        ),
    )
    planted = [*flux.with_flags(components), *flux.platform_account()]
    installation = FluxInstallation(
        stack.name,
        FluxInstallationArgs(
            namespace=namespaces.FLUX_NAMESPACE,
            waves=flux.apply_waves(planted),
            pull_secret=layout.PULL_SECRET,
            pull_token=pulumi.Config("fleet").get_secret("pullToken"),
        ),
        pulumi.ResourceOptions(provider=connection.provider),
    )
    registered = _tenants(
        stack,
        root,
        planted,
        installation,
        pulumi.ResourceOptions(providers=[connection.provider, github.provider]),
    )
    cluster_tree = ClusterTree(
        stack.name,
        ClusterTreeArgs(
            repository=config.repository.name,
            branch=config.repository.branch,
            files=files,
            messages=commits.messages(stack, files),
            waves=commits.waves(stack, list(files)),
            entrypoint=f"{stack.path}/{layout.ENTRYPOINT}",
            needs={layout.tenant_path(stack, name): t.resources for name, t in registered.items()},
        ),
        pulumi.ResourceOptions(provider=github.provider),
    )
    source, root_kustomization = flux.sync(stack)
    FluxSync(
        stack.name,
        FluxSyncArgs(
            source=source,
            root=root_kustomization,
            flux=installation.resources,
            tree=cluster_tree.files,
            digest=cluster_tree.digest,
        ),
        pulumi.ResourceOptions(provider=connection.provider),
    )
    _export(stack)


def _tenants(
    stack: Stack,
    root: Path,
    planted: Sequence[Mapping[str, Any]],
    installation: FluxInstallation,
    opts: pulumi.ResourceOptions,
) -> dict[str, TenantRegistration]:
    """The teams of this cluster, by name."""
    found: dict[str, TenantRegistration] = {}
    secrets = pulumi.Config(stack_files.PROJECT)
    credentials = secrets.get_secret_object("tenantCredentials")
    tenants = tenants_of(stack)
    to_create = [tenant for tenant in tenants if tenant.create]
    stacks = list(outlines.read(root).values()) if to_create else []
    created = {
        tenant.repository_name: _team_repository(tenant, stacks, opts).resources
        for tenant in to_create
    }
    for tenant in tenants:
        namespace: Mapping[str, Any] = tenant_manifests.namespace(tenant)
        if tenant.in_flux_system:
            (namespace,) = (item for item in planted if item["kind"] == "Namespace")
        source, _ = tenant_manifests.sync(tenant)
        deploy_key = None
        if tenant.deploy_key is not None:
            deploy_key = DeployKeyArgs(
                key=deploy_keys.derive(
                    secrets.require("deployKeySeed"),
                    cluster=stack.name,
                    tenant=tenant.name,
                    repository=tenant.repository_name,
                    generation=tenant.deploy_key,
                ),
                cluster=stack.name,
                tenant=tenant.name,
                repository=tenant.repository_name,
                generation=tenant.deploy_key,
                known_hosts=stack.config.repository.known_hosts or "",
                after=[*installation.resources, *created.get(tenant.repository_name, ())],
            )
        args = TenantRegistrationArgs(
            namespace=namespace,
            source=source,
            secret=tenant.source,
            credentials=credentials.apply(itemgetter(tenant.name))
            if tenant.credentials is not None and credentials is not None
            else None,
            deploy_key=deploy_key,
        )
        found[tenant.name] = TenantRegistration(tenant.name, args, opts)
    return found


def _team_repository(
    tenant: Tenant, stacks: Sequence[StackOutline], opts: pulumi.ResourceOptions
) -> GitHubRepository:
    environments = tenant_repository.environments(stacks, tenant)
    args = GitHubRepositoryArgs(
        repository=tenant.repository_name,
        branch=tenant.repository.branch,
        files=tenant_repository.starting_files(tenant, environments),
        github_team=tenant.github_team,
    )
    return GitHubRepository(tenant.name, args, opts)


def _engine_config() -> dict[str, Any]:
    given = pulumi.Config(stack_files.PROJECT)
    keys = (*stack_files.SHARED_KEYS, *stack_files.CLUSTER_KEYS)
    return {key: given.get_object(key) for key in keys}


def _export(stack: Stack) -> None:
    repository = stack.config.repository
    context = stack.config.cluster.context
    kubectl = f"kubectl --kubeconfig {engine.path(stack)} --context {context}"
    pulumi.export("path", stack.path)
    pulumi.export("repository", f"{repository.owner}/{repository.name}")
    pulumi.export("branch", repository.branch)
    pulumi.export("context", context)
    pulumi.export("fluxVersion", stack.config.flux.version)
    pulumi.export(
        "look",
        {
            "sync": f"{kubectl} -n {namespaces.FLUX_NAMESPACE} get gitrepositories,kustomizations",
            "releases": f"{kubectl} get helmreleases -A",
            "workloads": f"{kubectl} get deployments,daemonsets -A",
        },
    )


if __name__ == "__main__":
    try:
        main()
    except FleetError as error:
        # The engine prints a RunError's text without a traceback.
        raise pulumi.RunError(str(error)) from None
