"""The keys of a tenant: a team with a repository of its own in one cluster."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fleet.config.base import (
    DNS_LABEL,
    Branch,
    Hidden,
    KnownHosts,
    Matches,
    NonEmpty,
    Secret,
    ShortPath,
    Strict,
    broken_rules,
)
from fleet.config.git_urls import git_url, repository_name
from fleet.kube import quantity

# A tenant with the role `published` may also create ingresses and routes.
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

# A tenant could remove its own isolation, or redirect another tenant's traffic, with these.
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
_RESERVED = "is reserved for the platform; remove it"


def default_folder(environment: str) -> str:
    """Return the folder of a tenant's repository that an environment deploys by default."""
    return f"deploy/{environment}"


def _number_as_text(value: object) -> object:
    # Python refuses to write a number of some thousand digits.
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18
    return str(value) if is_number else value


def _tenant_url(url: str) -> str:
    url = git_url(url, "fleet:tenantCredentials")
    if repository_name(url) in ("", ".", ".."):
        raise ValueError("does not end in the name of a repository; add it")
    return url


def _allowed_group(group: str) -> str:
    if any(group == fence or group.endswith(f".{fence}") for fence in FENCE_GROUPS):
        raise ValueError(_RESERVED)
    return group


def _allowed_resource(resource: str) -> str:
    if resource in FENCE_RESOURCES:
        raise ValueError(_RESERVED)
    return resource


def _at_least_one(resources: tuple[str, ...]) -> tuple[str, ...]:
    if not resources:
        raise ValueError("must not be empty; remove the whole entry")
    return resources


def _unreserved_name(name: str) -> str:
    if name == "kustomization":
        raise ValueError("is the name of the file that lists all tenants; choose another name")
    if name.startswith("tenant-"):
        raise ValueError("begins with tenant-, as fleet's own objects do; choose another name")
    return name


def _path_in_repository(path: str) -> str:
    parts = path.removeprefix("./").split("/")
    if path.startswith("/") or ".." in parts:
        raise ValueError("leaves the tenant's repository; name a folder in it without '..'")
    if not re.fullmatch(r"\.|(\./)?[A-Za-z0-9._/-]+", path) or (
        path not in (".", "./") and {"", "."} & set(parts)
    ):
        raise ValueError("is not plain; write it like ./deploy/prod")
    return path


# Kubernetes calculates with thousandths in 64 bits.
_HIGHEST_COUNT = (2**63 - 1) // 1000


def _is_count(text: str) -> bool:
    number = quantity.parse(text)
    return number.denominator == 1 and number <= _HIGHEST_COUNT


Quantity = Annotated[
    str,
    Matches(
        r"^[0-9]{1,18}(\.[0-9]{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        "must be a quantity, such as 20, 500m or 4Gi",
    ),
    BeforeValidator(_number_as_text, json_schema_input_type=str | int),
]
# With one longer duration than Go can hold, a controller of Flux can list no object of that kind.
_LONGEST_HOURS = 8760
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _short_interval(interval: str) -> str:
    digits, unit = interval[:-1], interval[-1]
    # The count of digits comes first: Python reads no number of some thousand digits.
    if len(digits) > 9 or int(digits) * _SECONDS[unit] > _LONGEST_HOURS * _SECONDS["h"]:
        raise ValueError(f"is longer than a year; use at most {_LONGEST_HOURS}h")
    return interval


Interval = Annotated[
    str,
    Matches(r"^[1-9][0-9]*(s|m|h)$", "must be a duration, such as 5m"),
    AfterValidator(_short_interval),
]


class TenantRepository(Strict):
    """The repository that holds a tenant's manifests."""

    url: Annotated[str, AfterValidator(_tenant_url), Hidden()] = Field(
        description="https:// or ssh:// URL that Flux pulls"
    )
    branch: Branch = Field(default="main", description="branch that Flux pulls")
    interval: Interval = Field(default="1m", description="how often Flux looks for commits")

    @property
    def name(self) -> str:
        """The name of the repository, without its owner."""
        return repository_name(self.url)


class Limits(Strict):
    """Limits and requests of a container that sets none, and the most that one may set."""

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
    """Kinds of one API group that a tenant may create beyond its role."""

    api_group: Annotated[
        str,
        Matches(
            r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
            "must be an API group, such as cert-manager.io",
        ),
        AfterValidator(_allowed_group),
    ] = Field(description="API group, such as cert-manager.io; empty for the core group")
    resources: Annotated[
        tuple[
            Annotated[
                str,
                Matches(
                    r"^[a-z][a-z0-9]*$",
                    "must be the plural name of a kind, such as certificates; "
                    "no '*', no subresource",
                ),
                AfterValidator(_allowed_resource),
            ],
            ...,
        ],
        AfterValidator(_at_least_one),
    ] = Field(strict=False, description="plural names, such as certificates")


class InFluxSystem(Strict):
    """Consent to keep a tenant's source, credentials and account among the platform's own."""

    because: NonEmpty = Field(description="why this tenant's namespace cannot hold them")


class _Common(Strict):
    role: Role | None = Field(
        default=None, description="workloads (default), or published: also ingresses and routes"
    )
    quota: dict[QuotaName, Quantity] = Field(
        default_factory=dict, description="what its whole namespace may use; by key"
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
        description="true: workloads and namespace stay when the tenant is removed; set it first",
    )

    @model_validator(mode="after")
    def _counts_are_whole(self) -> _Common:
        broken: dict[tuple[str, ...], str] = {
            ("quota", name): f"must be a whole number, at most {_HIGHEST_COUNT}"
            for name, value in self.quota.items()
            if not name.startswith(("requests.", "limits.")) and not _is_count(value)
        }
        if broken:
            raise broken_rules(self, broken)
        return self


class TenantDefaults(_Common):
    """Values for all tenants; a tenant's own keys win, its extra kinds are added."""


class TenantConfig(_Common):
    """One tenant in one cluster."""

    name: Annotated[
        str,
        # Names of objects are made from it, and they may have 63 characters.
        Matches(
            r"^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$",
            "must be lower-case letters, digits and '-', at most 50, such as billing",
        ),
        AfterValidator(_unreserved_name),
    ] = Field(description="the tenant: lower-case letters, digits and '-', at most 50")
    repository: TenantRepository = Field(description="the tenant's own repository")
    path: Annotated[ShortPath, AfterValidator(_path_in_repository)] | None = Field(
        default=None, description="folder in it (default: ./deploy/<environment>)"
    )
    namespace: (
        Annotated[
            str,
            Matches(f"^{DNS_LABEL}$", "must be lower-case letters, digits and '-', at most 63"),
        ]
        | None
    ) = Field(default=None, description="its only namespace (default: <tenant>-<environment>)")
    suspend: bool = Field(default=False, description="true: Flux leaves what is there as it is")
    deploy_key: Annotated[int, Field(ge=1, le=9999)] | None = Field(
        default=None,
        description="1: fleet makes the key that reads the repository; raise it to rotate",
    )
    create: bool = Field(
        default=False,
        description="true: fleet makes the repository too; set it in one stack only",
    )
    github_team: (
        Annotated[
            str,
            Matches(
                r"^[a-z0-9][a-z0-9_-]*$",
                "must be a team's slug: lower-case letters, digits, '-' and '_'",
            ),
        ]
        | None
    ) = Field(
        default=None, description="GitHub team that may write to the repository that fleet makes"
    )
    in_flux_system: InFluxSystem | None = Field(
        default=None,
        description="keep its Flux objects in flux-system, not in its namespace; less isolated",
    )

    @property
    def key_generation(self) -> int | None:
        """The generation of the deploy key that fleet makes, None if it makes none."""
        return self.deploy_key or (1 if self.create else None)

    def namespace_in(self, environment: str) -> str:
        """Return the tenant's namespace in a cluster of this environment."""
        return self.namespace or f"{self.name}-{environment}"

    def path_in(self, environment: str) -> str:
        """Return the folder that a cluster of this environment deploys, beginning with `./`."""
        path = self.path or default_folder(environment)
        return "./" if path in (".", "./") else f"./{path.removeprefix('./')}"

    @model_validator(mode="after")
    def _keys_fit_together(self) -> TenantConfig:
        broken: dict[tuple[str, ...], str] = {}
        if self.github_team and not self.create:
            broken[("githubTeam",)] = "has no effect without create: true; remove it"
        if self.key_generation and not deploy_key_owner(self.repository.url):
            broken["repository", "url"] = (
                "cannot have a deploy key; "
                f"write it like ssh://git@github.com/<owner>/{self.name}-apps"
            )
        if self.create and self.path is not None:
            broken[("path",)] = "cannot be set with create: true; remove path or create"
        if self.create and self.repository.branch != "main":
            broken["repository", "branch"] = (
                "cannot be set with create: true, which makes main; remove branch or create"
            )
        if broken:
            raise broken_rules(self, broken)
        return self


def deploy_key_owner(url: str) -> str | None:
    """Return the owner in a URL for which fleet can make a deploy key, None for any other."""
    match = re.fullmatch(r"ssh://[^/]+/([A-Za-z0-9._-]+)/[A-Za-z0-9._-]+?(\.git)?/?", url)
    return match[1] if match else None


class TenantCredentials(Strict):
    """The credentials with which Flux reads a tenant's repository: a token, or a key."""

    token: Annotated[Literal["secure"] | None, Secret()] = Field(
        default=None, description="read-only token for an https:// URL; only encrypted"
    )
    private_key: Annotated[Literal["secure"] | None, Secret()] = Field(
        default=None, description="read-only key (PEM) for an ssh:// URL; only encrypted"
    )
    known_hosts: KnownHosts | None = Field(
        default=None, description="known_hosts lines of the ssh:// server; not secret"
    )
