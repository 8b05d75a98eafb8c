"""Rules about a tenant and everything around it: other tenants, the platform, other stacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from fleet.config.base import DNS_LABEL
from fleet.config.git_urls import same_repository
from fleet.config.keys import Location, key_at, secret_command
from fleet.config.models import Repository
from fleet.config.outlines import StackOutline
from fleet.config.problem import problem
from fleet.config.tenant import limits
from fleet.config.tenant_models import (
    TenantConfig,
    TenantCredentials,
    TenantDefaults,
    deploy_key_owner,
)
from fleet.config.valid_parts import Parts
from fleet.kube import quantity
from fleet.kube.namespaces import BUILT_IN_NAMESPACES, FLUX_NAMESPACE


def problems(
    stack: StackOutline,
    parts: Parts,
    others: Iterable[StackOutline],
    namespace_folders: Callable[[], Mapping[str, str]],
) -> Iterator[str]:
    """Yield the problems of all valid tenants of a stack; `others` are the other stacks.

    `namespace_folders` returns the folder of the shared definition that creates each namespace. It
    is not called without tenants, since it reads all definitions.
    """
    rules = _Rules(
        stack=stack,
        parts=parts,
        tenants=parts.items("tenants", TenantConfig),
        namespace_folders=namespace_folders,
    )
    yield from rules.names()
    yield from rules.namespaces()
    yield from rules.limits()
    yield from rules.deploy_keys()
    yield from rules.created_repositories(others)
    yield from rules.credentials()
    yield from rules.credentials_without_tenant()


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """One method for each rule, which yields its problems."""

    stack: StackOutline
    parts: Parts
    tenants: Mapping[int | str, TenantConfig]
    namespace_folders: Callable[[], Mapping[str, str]]

    @cached_property
    def platform_namespaces(self) -> Mapping[str, str]:
        """The namespaces that no tenant may have, with what makes each of them."""
        return {
            **dict.fromkeys((*BUILT_IN_NAMESPACES, FLUX_NAMESPACE), "part of every cluster"),
            **{name: f"created by {folder}" for name, folder in self.namespace_folders().items()},
        }

    def _problem(self, location: Location, text: str) -> str:
        return problem(self.stack.file, key_at(location), text)

    def names(self) -> Iterator[str]:
        seen: set[str] = set()
        for index, tenant in self.tenants.items():
            location = ("tenants", index, "name")
            if creator := self.platform_namespaces.get(tenant.name):
                yield self._problem(
                    location,
                    f"{tenant.name!r} is a namespace of the platform, {creator}; "
                    "choose another name",
                )
            elif tenant.name in seen:
                yield self._problem(location, f"{tenant.name!r} is there twice; keep one")
            seen.add(tenant.name)

    def namespaces(self) -> Iterator[str]:
        first_tenants: dict[str, str] = {}
        for index, tenant in self.tenants.items():
            if self.stack.environment is None:
                continue  # The model reports the environment, which the namespace is made from.
            namespace = tenant.namespace_in(self.stack.environment)
            first = first_tenants.setdefault(namespace, tenant.name)
            if text := self._namespace_text(namespace, None if first == tenant.name else first):
                yield self._problem(("tenants", index, "namespace"), f"{namespace!r} {text}")

    def _namespace_text(self, namespace: str, other_tenant: str | None) -> str | None:
        if not re.fullmatch(DNS_LABEL, namespace):
            return "is longer than the 63 characters of a namespace; set a shorter one"
        if creator := self.platform_namespaces.get(namespace):
            return f"is a namespace of the platform, {creator}; choose another one"
        if namespace.startswith("kube-"):
            return "begins with kube-, which Kubernetes reserves; choose another one"
        if other_tenant:
            return f"is also the namespace of tenant {other_tenant}; choose another one"
        return None

    def limits(self) -> Iterator[str]:
        defaults = self.parts.get("tenantDefaults", TenantDefaults) or TenantDefaults()
        for index, tenant in self.tenants.items():
            if text := _limits_text(limits(tenant, defaults)):
                yield self._problem(("tenants", index, "limits"), text)

    def deploy_keys(self) -> Iterator[str]:
        repository = self.parts.get("repository", Repository)
        for index, tenant in self.tenants.items():
            if not tenant.key_generation:
                continue
            url = tenant.repository.url
            location = ("tenants", index, "repository", "url")
            if repository and deploy_key_owner(url) != repository.owner:
                yield self._problem(
                    location,
                    f"{url!r} does not belong to {repository.owner}, so fleet cannot add a deploy "
                    "key; use fleet:tenantCredentials",
                )
            elif repository and repository.known_hosts is None:
                yield self._problem(
                    location,
                    f"{url!r} needs fleet:repository.knownHosts, GitHub's lines of known_hosts; "
                    "set it",
                )
            if not self.parts.is_given("deployKeySeed"):
                command = f"{secret_command(('deployKeySeed',))} -s {self.stack.name}"
                yield self._problem(
                    ("deployKeySeed",),
                    f"missing; the deploy key of {tenant.name} is made from it; use `{command}`",
                )

    def created_repositories(self, others: Iterable[StackOutline]) -> Iterator[str]:
        if not any(tenant.create for tenant in self.tenants.values()):
            return
        creators = {
            tenant.repository: other.file
            for other in others
            for tenant in other.tenants
            if tenant.creates_repository
        }
        for index, tenant in self.tenants.items():
            if not tenant.create:
                continue
            url = tenant.repository.url
            first = f"tenant {tenant.name} of {self.stack.file}"
            creator = creators.setdefault(same_repository(url), first)
            if creator is not first:
                yield self._problem(
                    ("tenants", index, "repository", "url"),
                    f"{url!r} is already created by {creator}; write deployKey: 1 instead of "
                    "create: true",
                )

    def credentials(self) -> Iterator[str]:
        for tenant in self.tenants.values():
            location = ("tenantCredentials", tenant.name)
            given = self.parts.items("tenantCredentials", TenantCredentials).get(tenant.name)
            ssh = tenant.repository.url.startswith("ssh://")
            if tenant.key_generation:
                if self.parts.is_given(*location):
                    yield self._problem(location, "has no effect with a deployKey; remove it")
            elif given:
                for key, text in _credentials_texts(tenant, given, ssh=ssh):
                    yield self._problem((*location, key), text)
            elif ssh and not self.parts.is_given(*location):
                yield self._problem(
                    location,
                    f"missing, but the repository of {tenant.name} has an ssh:// URL; "
                    "set privateKey and knownHosts, or deployKey",
                )

    def credentials_without_tenant(self) -> Iterator[str]:
        # The outline also knows tenants that are invalid in other ways.
        names = {tenant.name for tenant in self.stack.tenants}
        for name in sorted(self.parts.given_items("tenantCredentials") - names):
            yield self._problem(
                ("tenantCredentials", name),
                "no tenant of this cluster has that name; remove it, or add the tenant to "
                "fleet:tenants",
            )


def _limits_text(limits: Mapping[str, Mapping[str, str]]) -> str | None:
    # The API server would refuse such a LimitRange, and with it the objects of all other tenants.
    for low, high in (("defaultRequest", "default"), ("defaultRequest", "max"), ("default", "max")):
        for resource in sorted(limits[low].keys() & limits[high].keys()):
            lower, higher = limits[low][resource], limits[high][resource]
            if quantity.parse(lower) > quantity.parse(higher):
                return f"{low}.{resource} {lower} is more than {high}.{resource} {higher}; lower it"
    return None


def _credentials_texts(
    tenant: TenantConfig, given: TenantCredentials, *, ssh: bool
) -> Iterator[tuple[str, str]]:
    scheme = "ssh://" if ssh else "https://"
    needed = ("privateKey", "knownHosts") if ssh else ("token",)
    values = given.model_dump(by_alias=True)
    for key in needed:
        if values[key] is None:
            yield key, f"missing, but the repository of {tenant.name} has an {scheme} URL; set it"
    for key, value in values.items():
        if key not in needed and value is not None:
            yield key, f"has no effect for an {scheme} URL; remove it"
