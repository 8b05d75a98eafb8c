"""The configuration of one cluster: every key of `fleet:`, declared once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from fleet.config.base import (
    DNS_LABEL,
    Branch,
    Hidden,
    KnownHosts,
    Matches,
    MergedByKey,
    NonEmpty,
    Scope,
    Secret,
    ShortPath,
    Strict,
)
from fleet.config.git_urls import git_url
from fleet.config.tenant_models import TenantConfig, TenantCredentials, TenantDefaults
from fleet.config.urls import plain_url
from fleet.kube.substitution import VARIABLE_NAME


def _https_or_ssh(url: str) -> str:
    return git_url(url, "fleet:pullToken")


def _https(url: str) -> str:
    return plain_url(url, ("https",), "remove the rest, and keep a token in github:token")


def _path_or_https(where: str) -> str:
    # Elsewhere such characters tell that a URL is meant, however it is written.
    is_path = where.startswith(("/", "./", "../", "~")) and not where.startswith("//")
    if not is_path and set(where) & set(":@?%"):
        return plain_url(where, ("https",), "remove the rest, or name a path")
    return where


GitHubName = Annotated[
    str,
    Matches(
        r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        "must be a GitHub name: letters, digits, '.', '_' and '-'",
    ),
]


# A state has the files of this branch by their paths alone.
DEFAULT_BRANCH = "main"


class Repository(Strict):
    """The one Git repository that every cluster pulls."""

    owner: GitHubName = Field(description="GitHub user or organization")
    name: GitHubName = Field(description="repository name, without the owner")
    branch: Branch = Field(
        default=DEFAULT_BRANCH, description="branch that `pulumi up` commits to and Flux pulls"
    )
    url: Annotated[str, AfterValidator(_https_or_ssh), Hidden()] | None = Field(
        default=None, description="URL that Flux pulls; https://github.com/<owner>/<name> if absent"
    )
    api_url: Annotated[str, AfterValidator(_https), Hidden()] = Field(
        default="https://api.github.com/",
        description="GitHub's API; another one for GitHub Enterprise Server",
    )
    known_hosts: KnownHosts | None = Field(
        default=None, description="known_hosts lines of GitHub, for tenants with a deployKey"
    )

    @property
    def pull_url(self) -> str:
        """The URL that Flux pulls."""
        return self.url or f"https://github.com/{self.owner}/{self.name}"


class FormerPlace(Strict):
    """The place that a cluster followed so far; a part that is absent is the same as now."""

    branch: Branch | None = Field(default=None, description="branch that Flux pulled")
    stack: Annotated[str, Matches(f"^{DNS_LABEL}$", "must be the name of a stack")] | None = Field(
        default=None, description="stack, whose tree was clusters/<stack>"
    )


UID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ClusterUid = Annotated[
    str, Matches(f"^{UID}$", "must be the UID of a cluster's namespace kube-system")
]


ClusterOrEnvironment = Annotated[
    str, Matches(f"^{DNS_LABEL}$", "must be the name of an environment or a cluster, such as prod")
]


class Cluster(Strict):
    """The connection to exactly one cluster, its environment, and decisions about its identity."""

    kubeconfig: ShortPath = Field(description="path of the kubeconfig file; ~ is your home")
    context: NonEmpty = Field(description="context in that file; never the current one")
    environment: (
        Annotated[
            str,
            Matches(f"^{DNS_LABEL}$", "must be lower-case letters, digits and '-', such as prod"),
        ]
        | None
    ) = Field(
        default=None,
        description="dev, test, prod, ...: selects the overlays; the stack's name if absent",
    )
    moves_from: FormerPlace | None = Field(
        default=None,
        description="branch or stack that the cluster followed so far, while it moves from there",
    )
    replaces: ClusterUid | None = Field(
        default=None,
        description="UID of the former cluster, when this one was built in its place; good once",
    )
    adopts: ClusterUid | None = Field(
        default=None,
        description="UID of this cluster, to take over the Flux that it has; good once",
    )


def _plain_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/"):
        raise ValueError("is absolute; write it relative to apps/ or infrastructure/")
    if ".." in parts:
        raise ValueError("leaves apps/ or infrastructure/; name a folder below it without '..'")
    if "" in parts or "." in parts:
        raise ValueError("is not plain; write it without '.', '//' or a '/' at the end")
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", path):
        raise ValueError("has odd characters; use letters, digits, '-', '_' and '.'")
    return path


class Entry(Strict):
    """One shared definition that this cluster receives."""

    path: Annotated[ShortPath, AfterValidator(_plain_path)] = Field(
        description="folder below infrastructure/ or apps/"
    )
    because: NonEmpty | None = Field(
        default=None,
        description="why this cluster receives a folder that is named after another environment",
    )


class _PathAlone:
    """Accepts an entry that is only its path, and tells editors so."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


def _entry_of_path(value: object) -> object:
    if isinstance(value, str):
        return {"path": value}
    if not isinstance(value, (dict, Entry)):
        raise ValueError("must be a path, or {path: ..., because: ...}")
    return value


EntryOrPath = Annotated[Entry, BeforeValidator(_entry_of_path), _PathAlone()]


class Flux(Strict):
    """The release of Flux in a cluster, and the source of its install manifests."""

    version: Annotated[
        str, Matches(r"^v[0-9]+\.[0-9]+\.[0-9]+$", "must be a release, such as v2.9.2")
    ] = Field(description="release of Flux, such as v2.9.2")
    manifests: Annotated[ShortPath, AfterValidator(_path_or_https), Hidden()] | None = Field(
        default=None,
        description="path or https:// URL of install.yaml; the GitHub release's if absent",
    )
    sha256: (
        Annotated[str, Matches(r"^[0-9a-f]{64}$", "must be 64 lower-case hexadecimal digits")]
        | None
    ) = Field(default=None, description="checksum of install.yaml; any other file is refused")


# fleet sets the first two in every cluster with facts, and the last tells Flux of changed ones.
RESERVED_FACTS = ("cluster", "environment", "cluster_facts_sha256")


def _fact_name(name: str) -> str:
    if name in RESERVED_FACTS:
        raise ValueError("is set by fleet itself; choose another name")
    return name


FactName = Annotated[
    str,
    Matches(
        f"^{VARIABLE_NAME}$",
        "must be the name of a variable: letters, digits and '_', no digit first",
    ),
    AfterValidator(_fact_name),
]


class StackConfig(Strict):
    """Everything below `fleet:` for one cluster, from Pulumi.yaml and its own stack file."""

    repository: Annotated[Repository, Scope.SHARED]
    flux: Annotated[Flux, Scope.SHARED]
    cluster: Annotated[Cluster, Scope.CLUSTER]
    infrastructure: Annotated[tuple[EntryOrPath, ...], Scope.CLUSTER] = Field(
        strict=False, description="folders below infrastructure/, in order"
    )
    apps: Annotated[tuple[EntryOrPath, ...], Scope.CLUSTER] = Field(
        strict=False, description="folders below apps/, in order"
    )
    facts: Annotated[dict[FactName, NonEmpty], Scope.SHARED, MergedByKey()] = Field(
        default_factory=dict,
        description="texts that replace ${name} in the definitions, such as domain: "
        "dev.example.com; those of Pulumi.yaml are the defaults",
    )
    definitions: Annotated[Literal["referenced", "rendered"], Scope.SHARED] = Field(
        default="referenced",
        description="referenced: a change of a shared definition reaches the cluster when it is "
        "merged; rendered: only by `pulumi up`, which commits what kustomize makes of it",
    )
    promotion_order: Annotated[tuple[ClusterOrEnvironment, ...], Scope.PROJECT] = Field(
        default=(),
        strict=False,
        description="environments or clusters in the order in which `fleet promote` brings things "
        "to them",
    )
    tenants: Annotated[tuple[TenantConfig, ...], Scope.CLUSTER] = Field(
        default=(), strict=False, description="tenants, each with a repository of its own"
    )
    tenant_defaults: Annotated[TenantDefaults, Scope.SHARED] = Field(
        default=TenantDefaults(), description="what all tenants have in common"
    )
    tenant_credentials: Annotated[dict[str, TenantCredentials], Scope.SECRET] = Field(
        default_factory=dict,
        description="by tenant: credentials with which Flux reads its repository",
    )
    deploy_key_seed: Annotated[
        Literal["secure"] | None, Scope.SECRET, Secret(made_by="openssl rand -base64 32")
    ] = Field(
        default=None,
        description="secret from which this cluster's deploy keys are made; only encrypted",
    )
    pull_token: Annotated[Literal["secure"] | None, Scope.SECRET, Secret()] = Field(
        default=None,
        description="read-only token with which Flux pulls a private repository; only encrypted",
    )
    esc_secrets: Annotated[tuple[NonEmpty, ...], Scope.CLUSTER] = Field(
        default=(),
        strict=False,
        description="secrets that Pulumi ESC supplies, such as pullToken or "
        "tenantCredentials.billing.token",
    )


def environment_of(stack: str, stated: str | None) -> str:
    """Return the environment of a stack: the one that its cluster states, else its name."""
    return stated or stack


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One cluster: the name of its stack, its stack file, and its configuration."""

    name: str
    file: str
    config: StackConfig

    @property
    def environment(self) -> str:
        """The environment of this cluster, which selects its overlays."""
        return environment_of(self.name, self.config.cluster.environment)

    @property
    def is_rendered(self) -> bool:
        """True if the tree has the definitions' objects, and not references to the folders."""
        return self.config.definitions == "rendered"

    @property
    def path(self) -> str:
        """The only path of the repository that this cluster pulls."""
        return f"clusters/{self.name}"
