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
from components.team_repository import TeamRepository, TeamRepositoryArgs
from components.tenant import DeployKeyArgs, Tenant, TenantArgs
from fleet import deploy_keys
from fleet.config import engine, load, stack_files, tenant
from fleet.config.models import Stack
from fleet.config.tenant import Team
from fleet.errors import FleetError
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
    decisions = stack.decisions
    engine.refuse_ambient(os.environ, stack)
    engine.same_as_engine(stack, root, _engine_decisions())
    engine.require_context(stack)
    components = flux_release.read(decisions.flux, root)
    files = tree.render(stack, components)

    connection = ClusterConnection(
        stack.name,
        ClusterConnectionArgs(
            cluster=stack.name,
            kubeconfig=str(engine.path(stack)),
            context=decisions.cluster.context,
        ),
    )
    github = GitHubConnection(
        stack.name,
        GitHubConnectionArgs(
            api_url=decisions.repository.api_url,
            owner=decisions.repository.owner,
            token=pulumi.Config("github").require_secret("token"),
        ),
    )
    planted = [*flux.with_flags(components), *flux.platform_account()]
    flux = FluxInstallation(
        stack.name,
        FluxInstallationArgs(
            namespace=tree.FLUX_NAMESPACE,
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
        flux,
        pulumi.ResourceOptions(providers=[connection.provider, github.provider]),
    )
    cluster_tree = ClusterTree(
        stack.name,
        ClusterTreeArgs(
            repository=decisions.repository.name,
            branch=decisions.repository.branch,
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
            flux=flux.resources,
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
    flux: FluxInstallation,
    opts: pulumi.ResourceOptions,
) -> dict[str, Tenant]:
    """The teams of this cluster, by name."""
    found: dict[str, Tenant] = {}
    secrets = pulumi.Config(stack_files.PROJECT)
    credentials = secrets.get_secret_object("tenantCredentials")
    teams = tenant.teams(stack)
    to_create = [team for team in teams if team.create]
    owns = stack_files.all_own(root) if to_create else {}
    created = {
        team.repository_name: _team_repository(team, owns, opts).resources for team in to_create
    }
    for team in teams:
        namespace: Mapping[str, Any] = tenant_manifests.namespace(team)
        if team.in_flux_system:
            (namespace,) = (item for item in planted if item["kind"] == "Namespace")
        source, _ = tenant_manifests.sync(team)
        deploy_key = None
        if team.deploy_key is not None:
            deploy_key = DeployKeyArgs(
                key=deploy_keys.derive(
                    secrets.require("deployKeySeed"),
                    cluster=stack.name,
                    team=team.name,
                    repository=team.repository_name,
                    generation=team.deploy_key,
                ),
                cluster=stack.name,
                team=team.name,
                repository=team.repository_name,
                generation=team.deploy_key,
                known_hosts=stack.decisions.repository.known_hosts or "",
                after=[*flux.resources, *created.get(team.repository_name, ())],
            )
        args = TenantArgs(
            namespace=namespace,
            source=source,
            secret=team.source,
            credentials=credentials.apply(itemgetter(team.name))
            if team.credentials is not None and credentials is not None
            else None,
            deploy_key=deploy_key,
        )
        found[team.name] = Tenant(team.name, args, opts)
    return found


def _team_repository(
    team: Team, owns: Mapping[str, Mapping[str, Any]], opts: pulumi.ResourceOptions
) -> TeamRepository:
    environments = tenant_repository.environments(owns, team)
    args = TeamRepositoryArgs(
        repository=team.repository_name,
        branch=team.repository.branch,
        files=tenant_repository.starting_files(team, environments),
        github_team=team.github_team,
    )
    return TeamRepository(team.name, args, opts)


def _engine_decisions() -> dict[str, Any]:
    given = pulumi.Config(stack_files.PROJECT)
    keys = (*stack_files.SHARED_KEYS, *stack_files.CLUSTER_KEYS)
    return {key: given.get_object(key) for key in keys}


def _export(stack: Stack) -> None:
    repository = stack.decisions.repository
    context = stack.decisions.cluster.context
    kubectl = f"kubectl --kubeconfig {engine.path(stack)} --context {context}"
    pulumi.export("path", stack.path)
    pulumi.export("repository", f"{repository.owner}/{repository.name}")
    pulumi.export("branch", repository.branch)
    pulumi.export("context", context)
    pulumi.export("fluxVersion", stack.decisions.flux.version)
    pulumi.export(
        "look",
        {
            "sync": f"{kubectl} -n {tree.FLUX_NAMESPACE} get gitrepositories,kustomizations",
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
