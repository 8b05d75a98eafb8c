"""The shape of what is decided of tenants: teams with repositories of their own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fleet.config.base import DNS_LABEL, Branch, NonEmpty, Strict
from fleet.config.git_urls import git_url

# `published` may also say under which name the outside reaches a team's Services.
Role = Literal["workloads", "published"]
PodSecurity = Literal["restricted", "baseline"]
QuotaName = Literal[
    "pods",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "persistentvolumeclaims",
    "configmaps",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "count/deployments.apps",
    "count/statefulsets.apps",
    "count/jobs.batch",
    "count/cronjobs.batch",
    "count/ingresses.networking.k8s.io",
]
Resource = Literal["cpu", "memory", "ephemeral-storage"]

# Groups and kinds with which a team could undo its own fence or reach another's traffic.
FENCE_GROUPS = (
    "rbac.authorization.k8s.io",
    "toolkit.fluxcd.io",
    "extensions.fluxcd.io",
    "kyverno.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
)
FENCE_RESOURCES = (
    "resourcequotas",
    "limitranges",
    "networkpolicies",
    "namespaces",
    "endpoints",
    "endpointslices",
)


def _team_url(url: str) -> str:
    url = git_url(url, "fleet:tenantCredentials")
    if url.rstrip("/").rpartition("/")[2].removesuffix(".git") in ("", ".", ".."):
        raise ValueError("must end in the name of a repository, which is also its clone's")
    return url


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _no_fence_group(group: str) -> str:
    if any(group == fence or group.endswith(f".{fence}") for fence in FENCE_GROUPS):
        raise ValueError("is part of the fence; the platform keeps it")
    return group


def _not_empty(resources: tuple[str, ...]) -> tuple[str, ...]:
    if not resources:
        raise ValueError("must not be empty; leave the whole entry out")
    return resources


def _no_fence_resource(resource: str) -> str:
    if resource in FENCE_RESOURCES:
        raise ValueError("is part of the fence; the platform keeps it")
    return resource


Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=str | int),
    Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"),
]
Interval = Annotated[str, Field(pattern=r"^[1-9][0-9]*(s|m|h)$")]
Name = Annotated[str, Field(pattern=f"^{DNS_LABEL}$")]


class TenantRepository(Strict):
    """Where a team's manifests are."""

    url: Annotated[str, AfterValidator(_team_url)] = Field(
        description="https:// or ssh:// URL that Flux pulls"
    )
    branch: Branch = Field(default="main", description="branch that Flux pulls")
    interval: Interval = Field(default="1m", description="how often Flux looks for commits")


class Limits(Strict):
    """What a container gets that says nothing, and the most that one may ask for."""

    default: dict[Resource, Quantity] = Field(
        default_factory=dict, description="limits of a container without any"
    )
    default_request: dict[Resource, Quantity] = Field(
        default_factory=dict, description="requests of a container without any"
    )
    max: dict[Resource, Quantity] = Field(
        default_factory=dict, description="the highest limits of one container"
    )


class ExtraKinds(Strict):
    """Kinds of one API group that a team may have beyond its role."""

    api_group: Annotated[
        str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"), AfterValidator(_no_fence_group)
    ] = Field(description="API group, as cert-manager.io; empty for the core group")
    resources: Annotated[
        tuple[
            Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$"), AfterValidator(_no_fence_resource)],
            ...,
        ],
        AfterValidator(_not_empty),
    ] = Field(strict=False, description="plural names, as certificates")


class InFluxSystem(Strict):
    """Consent to a team's source, credentials and account being among the platform's own."""

    because: NonEmpty = Field(description="why this team is not wired up in its own namespace")


class _Common(Strict):
    role: Role | None = Field(
        default=None, description="workloads (default), or published: also ingresses and routes"
    )
    quota: dict[QuotaName, Quantity] = Field(
        default_factory=dict, description="what all of its namespace may use; by key"
    )
    limits: Limits = Field(default=Limits(), description="what a single container may use; by key")
    interval: Interval | None = Field(
        default=None, description="how often Flux corrects what differs (default: 5m)"
    )
    pod_security: PodSecurity | None = Field(
        default=None, description="Pod Security level: restricted (default) or baseline"
    )
    extra_kinds: tuple[ExtraKinds, ...] = Field(
        default=(), strict=False, description="kinds that its role does not have"
    )
    keep: bool | None = Field(
        default=None,
        description="true: workloads and namespace stay when the team is removed; set it first",
    )


class TenantDefaults(_Common):
    """What teams have in common; a team's own keys win, its extra kinds are added."""


class TenantConfig(_Common):
    """One team in one cluster."""

    # Shorter than a label: what is named after it has to be one too.
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$")] = Field(
        description="the team: lower-case letters, digits and '-', at most 50"
    )
    repository: TenantRepository = Field(description="the team's own repository")
    path: NonEmpty | None = Field(
        default=None, description="folder in it (default: ./deploy/<environment>)"
    )
    namespace: Name | None = Field(
        default=None, description="the team's alone (default: <team>-<environment>)"
    )
    suspend: bool = Field(default=False, description="true: Flux leaves what is there as it is")
    deploy_key: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="1: fleet makes the key that reads the repository; raise it to rotate",
    )
    create: bool = Field(
        default=False,
        description="true: fleet makes the repository too; in one stack of all that have the team",
    )
    github_team: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = Field(
        default=None, description="GitHub team that may write to the repository that fleet makes"
    )
    in_flux_system: InFluxSystem | None = Field(
        default=None,
        description="wire the team up in flux-system instead of its own namespace; less fenced",
    )


class TenantCredentials(Strict):
    """With what Flux reads one team's repository: a token, or a key and its server's own."""

    token: Literal["secure"] | None = Field(
        default=None, description="read-only token for an https:// URL; only as a secret"
    )
    private_key: Literal["secure"] | None = Field(
        default=None, description="read-only key (PEM) for an ssh:// URL; only as a secret"
    )
    known_hosts: NonEmpty | None = Field(
        default=None, description="known_hosts line of the ssh:// server; no secret"
    )
