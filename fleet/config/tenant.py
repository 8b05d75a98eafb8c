"""A tenant in one cluster: what results from the shared defaults and its own entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.config.models import Stack
from fleet.config.tenant_models import (
    ExtraKinds,
    InFluxSystem,
    PodSecurity,
    Role,
    TenantConfig,
    TenantCredentials,
    TenantDefaults,
    TenantRepository,
)
from fleet.kube.namespaces import FLUX_NAMESPACE

# A team that nothing is decided for is fenced too. Zero: what a pod network cannot hold back.
QUOTA: Mapping[str, str] = {
    "pods": "20",
    "requests.cpu": "2",
    "requests.memory": "4Gi",
    "requests.storage": "20Gi",
    "limits.memory": "8Gi",
    "persistentvolumeclaims": "10",
    "configmaps": "50",
    "secrets": "50",
    "services": "10",
    "services.loadbalancers": "0",
    "services.nodeports": "0",
    "count/deployments.apps": "20",
    "count/statefulsets.apps": "10",
    "count/jobs.batch": "20",
    "count/cronjobs.batch": "10",
    "count/ingresses.networking.k8s.io": "10",
}


# Without them, pods that say nothing would be refused for lack of what the quota counts.
LIMITS: Mapping[str, Mapping[str, str]] = {
    "default": {"memory": "256Mi"},
    "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
    "max": {"memory": "4Gi"},
}


INTERVAL = "5m"


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One team in one cluster: all that is decided of it."""

    name: str
    environment: str
    repository: TenantRepository
    path: str
    namespace: str
    role: Role
    quota: Mapping[str, str]
    limits: Mapping[str, Mapping[str, str]]
    interval: str
    pod_security: PodSecurity
    extra_kinds: tuple[ExtraKinds, ...]
    suspend: bool
    keep: bool
    deploy_key: int | None
    create: bool
    github_team: str | None
    in_flux_system: InFluxSystem | None
    credentials: TenantCredentials | None

    @property
    def repository_name(self) -> str:
        """The last part of its repository's URL, as `git clone` names the folder."""
        return self.repository.url.rstrip("/").rpartition("/")[2].removesuffix(".git")

    @property
    def reads_with_secret(self) -> bool:
        """Whether Flux needs a Secret to read its repository."""
        return self.credentials is not None or self.deploy_key is not None

    @property
    def flux_namespace(self) -> str:
        """Where its source, Kustomization, account and credentials are."""
        return FLUX_NAMESPACE if self.in_flux_system else self.namespace

    @property
    def account(self) -> str:
        """The ServiceAccount that Flux applies its manifests as."""
        return f"tenant-{self.name}" if self.in_flux_system else "tenant"

    @property
    def source(self) -> str:
        """The name of its GitRepository, and of the Secret with its credentials."""
        return f"{self.name}-repo"


def tenants_of(stack: Stack) -> list[Tenant]:
    """Return the teams of a cluster, by name: a change of order is no change."""
    config = stack.config
    found = [
        _tenant(
            tenant,
            config.tenant_defaults,
            config.tenant_credentials.get(tenant.name),
            stack.environment,
        )
        for tenant in config.tenants
    ]
    return sorted(found, key=lambda tenant: tenant.name)


def _tenant(
    tenant: TenantConfig,
    defaults: TenantDefaults,
    credentials: TenantCredentials | None,
    environment: str,
) -> Tenant:
    return Tenant(
        name=tenant.name,
        environment=environment,
        repository=tenant.repository,
        path=_plain(tenant.path) if tenant.path else f"./deploy/{environment}",
        namespace=tenant.namespace or f"{tenant.name}-{environment}",
        role=tenant.role or defaults.role or "workloads",
        quota=dict([*QUOTA.items(), *defaults.quota.items(), *tenant.quota.items()]),
        limits=limits(tenant, defaults),
        interval=tenant.interval or defaults.interval or INTERVAL,
        pod_security=tenant.pod_security or defaults.pod_security or "restricted",
        extra_kinds=(*defaults.extra_kinds, *tenant.extra_kinds),
        suspend=tenant.suspend,
        keep=bool(defaults.keep if tenant.keep is None else tenant.keep),
        deploy_key=tenant.deploy_key or (1 if tenant.create else None),
        create=tenant.create,
        github_team=tenant.github_team,
        in_flux_system=tenant.in_flux_system,
        credentials=credentials,
    )


def limits(tenant: TenantConfig, defaults: TenantDefaults) -> dict[str, dict[str, str]]:
    """Return the limits of one container, by kind and resource: defaults below the tenant's own."""
    merged = {kind: dict(values) for kind, values in LIMITS.items()}
    for given in (defaults.limits, tenant.limits):
        for kind, values in given.model_dump(by_alias=True).items():
            merged[kind] |= values
    return merged


def _plain(path: str) -> str:
    return "./" if path in (".", "./") else f"./{path.removeprefix('./')}"
