"""The tenants of a cluster, and the repositories that fleet creates for them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import pulumi

from components.deploy_key import DeployKeyArgs
from components.flux_installation import FluxInstallation
from components.github_repository import GitHubRepository, GitHubRepositoryArgs
from components.tenant_registration import TenantRegistration, TenantRegistrationArgs
from fleet import deploy_keys
from fleet.config import outlines, stack_files
from fleet.config.models import Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.kube.manifest import Manifest
from fleet.render import layout, place_moves, starting_files, tenant_manifests


def register_tenants(
    stack: Stack,
    root: Path,
    flux: FluxInstallation,
    providers: Sequence[pulumi.ProviderResource],
) -> dict[str, list[pulumi.Resource]]:
    """Register the tenants of the stack, and create the repositories of those that ask for one.

    Return, by the path of a tenant's file, the resources that must exist before it is committed.
    """
    opts = pulumi.ResourceOptions(providers=list(providers))
    tenants = tenants_of(stack)
    repositories = _created_repositories(tenants, root, opts)
    needs: dict[str, list[pulumi.Resource]] = {}
    for tenant in tenants:
        source, _ = tenant_manifests.sync(tenant)
        after = [*flux.resources, *repositories.get(tenant.repository_name, ())]
        args = TenantRegistrationArgs(
            namespace=_namespace(tenant, flux),
            source=source,
            secret=tenant.source,
            credentials=_credentials(tenant),
            deploy_key=_deploy_key_args(stack, tenant, after),
        )
        registration = TenantRegistration(tenant.name, args, opts)
        needs[layout.tenant_path(stack, tenant.name)] = registration.resources
    return needs


def _created_repositories(
    tenants: Sequence[Tenant], root: Path, opts: pulumi.ResourceOptions
) -> dict[str, list[pulumi.Resource]]:
    """Create the repositories of tenants with `create`, and return their resources by name."""
    to_create = [tenant for tenant in tenants if tenant.create]
    stacks = list(outlines.read(root).values()) if to_create else []
    created: dict[str, list[pulumi.Resource]] = {}
    for tenant in to_create:
        environments = starting_files.environments(stacks, tenant)
        args = GitHubRepositoryArgs(
            repository=tenant.repository_name,
            branch=tenant.repository.branch,
            files=starting_files.render(tenant, environments),
            github_team=tenant.github_team,
        )
        created[args.repository] = GitHubRepository(tenant.name, args, opts).resources
    return created


def _namespace(tenant: Tenant, flux: FluxInstallation) -> Manifest:
    """Return the Namespace that the tenant's credentials go into."""
    if not tenant.in_flux_system:
        return tenant_manifests.namespace(tenant)
    (namespace,) = (item for item in flux.manifests if item["kind"] == "Namespace")
    return namespace


def _credentials(tenant: Tenant) -> pulumi.Output[dict[str, str]] | None:
    if tenant.credentials is None:
        return None
    by_tenant = pulumi.Config(stack_files.PROJECT).get_secret_object("tenantCredentials")
    return by_tenant.apply(itemgetter(tenant.name)) if by_tenant is not None else None


def _deploy_key_args(
    stack: Stack, tenant: Tenant, after: Sequence[pulumi.Resource]
) -> DeployKeyArgs | None:
    if tenant.deploy_key is None:
        return None
    seed = pulumi.Config(stack_files.PROJECT).require("deployKeySeed")
    name = tenant.repository_name
    with_owner, without_owner = (
        deploy_keys.derive(
            seed,
            cluster=stack.name,
            tenant=tenant.name,
            repository=repository,
            generation=tenant.deploy_key,
        )
        for repository in (f"{stack.config.repository.owner}/{name}", name)
    )
    return DeployKeyArgs(
        key=with_owner,
        key_without_owner=without_owner,
        cluster=stack.name,
        tenant=tenant.name,
        repository=name,
        generation=tenant.deploy_key,
        known_hosts=stack.config.repository.known_hosts or "",
        after=after,
        former_cluster=next(iter(place_moves.former_names(stack)), None),
    )
