"""Tenants of one cluster: the teams as they result from defaults and decisions, and their rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from fleet.config import git_urls
from fleet.config.base import DNS_LABEL
from fleet.config.stack_files import SECRET_KEYS
from fleet.config.tenant import limits
from fleet.config.tenant_models import (
    TenantConfig,
    TenantDefaults,
)
from fleet.kube import quantity
from fleet.kube.namespaces import BUILT_IN_NAMESPACES, FLUX_NAMESPACE

_REPOSITORY_URL = r"ssh://[^/]+/(?P<owner>[A-Za-z0-9._-]+)/[A-Za-z0-9._-]+?(\.git)?/?"
# What fleet calls a team's Flux Kustomization begins so.
_PREFIX = "tenant-"
# The list of all tenants is a file beside theirs.
RESERVED_NAMES = ("kustomization",)


def problems(
    name: str,
    file: str,
    values: Mapping[str, Any],
    homes: Mapping[str, str],
    creators: Mapping[str, str],
) -> Iterable[str]:
    """Return what is wrong with the tenants, also when other values are: all is told at once.

    `homes` are the namespaces that the platform's definitions create, each with its folder;
    `creators` are the repositories that other stacks create, as `same_repository` has them, each
    with the stack's file.
    """
    cluster = values.get("cluster")
    environment = cluster.get("environment") if isinstance(cluster, dict) else None
    if not (isinstance(environment, str) and re.fullmatch(DNS_LABEL, environment)):
        environment = name
    platform = dict.fromkeys((*BUILT_IN_NAMESPACES, FLUX_NAMESPACE), "every cluster") | dict(homes)
    credentials = values.get("tenantCredentials")
    credentials = credentials if isinstance(credentials, dict) else {}
    names: set[str] = set()
    namespaces: dict[str, str] = {}
    creators = dict(creators)
    tenants = values.get("tenants")
    try:
        defaults = TenantDefaults.model_validate(values.get("tenantDefaults", {}))
    except ValidationError:
        defaults = TenantDefaults()  # told by the model
    for index, item in enumerate(tenants if isinstance(tenants, list) else ()):
        try:
            tenant = TenantConfig.model_validate(item)
        except ValidationError:
            names.add(str(item.get("name")) if isinstance(item, dict) else "")
            continue  # told by the model
        for key, value, problem in (
            ("name", tenant.name, _name_problem(tenant.name, platform, names)),
            ("path", tenant.path, _path_problem(tenant.path)),
            *_namespace_problems(tenant, environment, platform, namespaces),
            *_github_problems(tenant, values, creators),
        ):
            if problem:
                yield f"{file}: fleet:tenants[{index}].{key}: {value!r} {problem}"
        if problem := _limits_problem(limits(tenant, defaults)):
            yield f"{file}: fleet:tenants[{index}].limits: {problem}"
        if _has_key(tenant) and values.get("deployKeySeed") is None:
            yield (
                f"{file}: fleet:deployKeySeed: missing; {tenant.name}'s deploy key is made of it; "
                f"use `{SECRET_KEYS['deployKeySeed']} -s {name}`"
            )
        for key, problem in _credentials_problems(tenant, credentials.get(tenant.name)):
            yield f"{file}: fleet:tenantCredentials.{tenant.name}{key}: {problem}"
        names.add(tenant.name)
        if tenant.create:
            creators[git_urls.same_repository(tenant.repository.url)] = f"{file}, {tenant.name}"
    for unknown in sorted(set(map(str, credentials)) - names):
        yield (
            f"{file}: fleet:tenantCredentials.{unknown}: no tenant of this cluster has that name; "
            "remove it, or add the team to fleet:tenants"
        )


def _limits_problem(limits: Mapping[str, Mapping[str, str]]) -> str | None:
    """What the API server would refuse, and with it, in one apply, every other team's fence."""
    for low, high in (("defaultRequest", "default"), ("defaultRequest", "max"), ("default", "max")):
        for resource in sorted(limits[low].keys() & limits[high].keys()):
            less, more = limits[low][resource], limits[high][resource]
            if quantity.parse(less) > quantity.parse(more):
                return f"{low}.{resource} {less} is more than {high}.{resource} {more}; lower it"
    return None


def _name_problem(name: str, platform: Mapping[str, str], names: set[str]) -> str | None:
    if name in RESERVED_NAMES:
        return "is the name of the list of tenants; take another"
    if name.startswith(_PREFIX):
        return f"begins as fleet's own names do, with {_PREFIX}; take another"
    if name in platform:
        return f"is a namespace of the platform ({platform[name]} has it); take another"
    if name in names:
        return "is there twice; keep one"
    return None


def _path_problem(path: str | None) -> str | None:
    if path is None:
        return None
    parts = path.removeprefix("./").split("/")
    if path.startswith("/") or ".." in parts:
        return "leaves the team's repository; name a folder in it without '..'"
    if not re.fullmatch(r"\.|(\./)?[A-Za-z0-9._/-]+", path) or (
        path not in (".", "./") and {"", "."} & set(parts)
    ):
        return "is not plain; write it as ./deploy/prod"
    return None


def _namespace_problems(
    tenant: TenantConfig,
    environment: str,
    platform: Mapping[str, str],
    namespaces: dict[str, str],
) -> Iterable[tuple[str, str, str | None]]:
    namespace = tenant.namespace or f"{tenant.name}-{environment}"
    owner = namespaces.setdefault(namespace, tenant.name)
    problem = None
    if not re.fullmatch(DNS_LABEL, namespace):
        problem = "is longer than the 63 characters of a namespace; decide a shorter one"
    elif namespace in platform:
        problem = f"is the platform's ({platform[namespace]} has it); take another"
    elif namespace.startswith("kube-"):
        problem = "is Kubernetes' own, as all that begin with kube-; take another"
    elif owner != tenant.name:
        problem = f"is also {owner}'s; one namespace has one tenant"
    yield "namespace", namespace, problem


def _has_key(tenant: TenantConfig) -> bool:
    return tenant.create or tenant.deploy_key is not None


def _github_problems(
    tenant: TenantConfig, values: Mapping[str, Any], creators: Mapping[str, str]
) -> Iterable[tuple[str, str, str | None]]:
    """What speaks against a key, or a repository, that is made on GitHub."""
    url = tenant.repository.url
    if tenant.github_team and not tenant.create:
        yield "githubTeam", tenant.github_team, "is of no use without create: true; remove it"
    if not _has_key(tenant):
        return
    platform = values.get("repository")
    platform = platform if isinstance(platform, dict) else {}
    owner = platform.get("owner")
    problem = None
    if not (match := re.fullmatch(_REPOSITORY_URL, url)):
        problem = f"takes no deploy key; write ssh://git@github.com/{owner}/{tenant.name}-apps"
    elif match["owner"] != owner:
        problem = f"is not {owner}'s, so fleet cannot give it a key; use fleet:tenantCredentials"
    elif platform.get("knownHosts") is None:
        problem = "needs fleet:repository.knownHosts, GitHub's line of known_hosts; set it"
    elif tenant.create and (creator := creators.get(git_urls.same_repository(url))):
        problem = f"is made by {creator}; a repository is made once: here, write deployKey: 1"
    yield "repository.url", url, problem
    if tenant.create and tenant.path is not None:
        yield "path", tenant.path, "is not what create: true starts; leave it out, or create"
    if tenant.create and tenant.repository.branch != "main":
        yield "repository.branch", tenant.repository.branch, "is not what create: true makes: main"


def _credentials_problems(tenant: TenantConfig, given: object) -> Iterable[tuple[str, str]]:
    if _has_key(tenant):
        if given is not None:
            yield "", "is of no use beside a deployKey; remove it"
        return
    ssh = tenant.repository.url.startswith("ssh://")
    fitting = ("privateKey", "knownHosts") if ssh else ("token",)
    scheme = "ssh://" if ssh else "https://"
    if given is None:
        if ssh:
            yield "", "missing; an ssh:// URL takes a privateKey and knownHosts, or a deployKey"
        return
    if not isinstance(given, dict):
        return  # told by the model
    for key in fitting:
        if key not in given:
            yield f".{key}", f"missing; {tenant.name}'s repository is an {scheme} URL"
    for key in ("token", "privateKey", "knownHosts"):
        if key in given and key not in fitting:
            yield f".{key}", f"is of no use for an {scheme} URL; remove it"
