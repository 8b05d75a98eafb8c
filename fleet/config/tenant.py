"""A tenant in one cluster: its own entry, completed by the defaults of stack and fleet."""

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

# Every tenant has these quotas unless its stack sets others. Load balancers and node ports are
# zero, because network policies between pods do not restrict them.
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


# The quota counts requests and limits, so Kubernetes would refuse a pod that sets none.
LIMITS: Mapping[str, Mapping[str, str]] = {
    "default": {"memory": "256Mi"},
    "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
    "max": {"memory": "4Gi"},
}


INTERVAL = "5m"


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One tenant in one cluster, with every value set."""

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
        """The name of its repository, without the owner."""
        return self.repository.name

    @property
    def reads_with_secret(self) -> bool:
        """True if Flux needs a Secret to read its repository."""
        return self.credentials is not None or self.deploy_key is not None

    @property
    def flux_namespace(self) -> str:
        """The namespace of its source, Kustomization, account and credentials."""
        return FLUX_NAMESPACE if self.in_flux_system else self.namespace

    @property
    def account(self) -> str:
        """The ServiceAccount with which Flux applies its manifests."""
        return f"tenant-{self.name}" if self.in_flux_system else "tenant"

    @property
    def source(self) -> str:
        """The name of its GitRepository, and of the Secret with its credentials."""
        return f"{self.name}-repo"


def tenants_of(stack: Stack) -> list[Tenant]:
    """Return the tenants of a cluster, sorted, so that their order in the file means nothing."""
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
        path=tenant.path_in(environment),
        namespace=tenant.namespace_in(environment),
        role=tenant.role or defaults.role or "workloads",
        quota=dict([*QUOTA.items(), *defaults.quota.items(), *tenant.quota.items()]),
        limits=limits(tenant, defaults),
        interval=tenant.interval or defaults.interval or INTERVAL,
        pod_security=tenant.pod_security or defaults.pod_security or "restricted",
        extra_kinds=(*defaults.extra_kinds, *tenant.extra_kinds),
        suspend=tenant.suspend,
        keep=bool(defaults.keep if tenant.keep is None else tenant.keep),
        deploy_key=tenant.key_generation,
        create=tenant.create,
        github_team=tenant.github_team,
        in_flux_system=tenant.in_flux_system,
        credentials=credentials,
    )


def limits(tenant: TenantConfig, defaults: TenantDefaults) -> dict[str, dict[str, str]]:
    """Return the limits of a container: fleet's, then the defaults, then the tenant's own."""
    merged = {kind: dict(values) for kind, values in LIMITS.items()}
    for given in (defaults.limits, tenant.limits):
        for kind, values in given.model_dump(by_alias=True).items():
            merged[kind] |= values
    return merged
