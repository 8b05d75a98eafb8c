"""The shape of a cluster's decisions: strict, frozen, camelCase in YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema

from fleet.config.base import DNS_LABEL, Branch, NonEmpty, Strict
from fleet.config.git_urls import git_url
from fleet.config.tenant_models import TenantConfig, TenantCredentials, TenantDefaults


def _https_or_ssh(url: str) -> str:
    return git_url(url, "fleet:pullToken")


def _https(url: str) -> str:
    if not re.fullmatch(r"https://[^\s/@]+(/\S*)?", url):
        raise ValueError("must be an https:// URL without user or password")
    return url


def _path_or_https(where: str) -> str:
    if "://" in where:
        try:
            return _https(where)
        except ValueError as error:
            raise ValueError(f"{error}, or a path") from None
    return where


GitHubName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Repository(Strict):
    """The one Git repository that every cluster pulls."""

    owner: GitHubName = Field(description="GitHub user or organization")
    name: GitHubName = Field(description="repository name, without the owner")
    branch: Branch = Field(
        default="main", description="branch that `pulumi up` commits to and Flux pulls"
    )
    url: Annotated[str, AfterValidator(_https_or_ssh)] | None = Field(
        default=None, description="URL that Flux pulls; https://github.com/<owner>/<name> if absent"
    )
    api_url: Annotated[str, AfterValidator(_https)] = Field(
        default="https://api.github.com/",
        description="GitHub's API; another one for GitHub Enterprise Server",
    )
    known_hosts: NonEmpty | None = Field(
        default=None, description="known_hosts line of GitHub, for teams with a deployKey"
    )

    @property
    def pull_url(self) -> str:
        """The URL that Flux pulls."""
        return self.url or f"https://github.com/{self.owner}/{self.name}"


class Cluster(Strict):
    """The connection to exactly one cluster, and what kind of cluster it is."""

    kubeconfig: NonEmpty = Field(description="path of the kubeconfig file; ~ is your home")
    context: NonEmpty = Field(description="context in that file; never the current one")
    environment: Annotated[str, Field(pattern=f"^{DNS_LABEL}$")] | None = Field(
        default=None,
        description="dev, test, prod, ...: which overlays are this cluster's; its name if absent",
    )


class Entry(Strict):
    """One shared definition that this cluster gets."""

    path: NonEmpty = Field(description="folder below infrastructure/ or apps/")
    because: NonEmpty | None = Field(
        default=None, description="why this cluster gets what is named after another environment"
    )


def entry_or_path(value: object) -> object:
    """Return an entry that is only its path as the mapping that it is short for."""
    return {"path": value} if isinstance(value, str) else value


class _OrPathSchema:
    """Tells editors that an entry may be just its path."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


EntryOrPath = Annotated[Entry, BeforeValidator(entry_or_path), _OrPathSchema()]


class Flux(Strict):
    """Which Flux a cluster runs, and where its install manifests come from."""

    version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+$")] = Field(
        description="release of Flux, as v2.9.2"
    )
    manifests: Annotated[NonEmpty, AfterValidator(_path_or_https)] | None = Field(
        default=None,
        description="path or https:// URL of install.yaml; the GitHub release's if absent",
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="checksum of install.yaml; anything else is refused"
    )


class StackConfig(Strict):
    """Everything below `fleet:` that is decided for one cluster."""

    repository: Repository
    flux: Flux
    cluster: Cluster
    infrastructure: tuple[EntryOrPath, ...] = Field(
        strict=False, description="folders below infrastructure/, in order"
    )
    apps: tuple[EntryOrPath, ...] = Field(strict=False, description="folders below apps/, in order")
    tenants: tuple[TenantConfig, ...] = Field(
        default=(), strict=False, description="teams with repositories of their own"
    )
    tenant_defaults: TenantDefaults = Field(
        default=TenantDefaults(), description="what all teams have in common"
    )
    tenant_credentials: dict[str, TenantCredentials] = Field(
        default_factory=dict, description="by team: with what Flux reads its repository"
    )
    deploy_key_seed: Literal["secure"] | None = Field(
        default=None,
        description="what this cluster's deploy keys are made from; only as a secret",
    )
    pull_token: Literal["secure"] | None = Field(
        default=None,
        description="read-only token with which Flux pulls a private repository; only as a secret",
    )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One cluster: its name, its decisions, and the file that holds them."""

    name: str
    file: str
    config: StackConfig

    @property
    def environment(self) -> str:
        """What kind of cluster this is; overlays are chosen by it."""
        return self.config.cluster.environment or self.name

    @property
    def path(self) -> str:
        """The only path of the repository that this cluster pulls."""
        return f"clusters/{self.name}"
