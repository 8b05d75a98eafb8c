"""The files that a tenant's own repository starts with when fleet creates it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.config.base import DNS_LABEL
from fleet.config.git_urls import same_repository
from fleet.config.tenant import Tenant


def environments(stack_configs: Mapping[str, Mapping[str, Any]], tenant: Tenant) -> list[str]:
    """Return the environments in which the tenant's repository is applied, sorted.

    `stack_configs` holds the own keys of every stack, valid or not: an invalid stack is reported
    when it is loaded itself. An entry with a `path` of its own does not follow environments.
    """
    found: set[str] = set()
    wanted = (tenant.name, same_repository(tenant.repository.url))
    for name, config in stack_configs.items():
        cluster, tenants = config.get("cluster"), config.get("tenants")
        environment = str((isinstance(cluster, dict) and cluster.get("environment")) or name)
        for entry in tenants if isinstance(tenants, list) else ():
            if not isinstance(entry, dict) or "path" in entry:
                continue
            repository = entry.get("repository")
            url = repository.get("url") if isinstance(repository, dict) else None
            if (entry.get("name"), same_repository(str(url))) == wanted:
                found.add(environment)
    return sorted(name for name in found if re.fullmatch(DNS_LABEL, name))


def starting_files(tenant: Tenant, environments: Sequence[str]) -> dict[str, str]:
    """Return {path: text}: a README, and a kustomization for each environment.

    Each kustomization generates a ConfigMap, so that Flux has an object to apply and is ready.
    """
    kustomizations = {
        f"deploy/{environment}/kustomization.yaml": _KUSTOMIZATION.format(
            environment=environment, tenant=tenant.name
        )
        for environment in environments
    }
    return {"deploy/README.md": _README, **kustomizations}


_KUSTOMIZATION = """\
# Name your manifests below `resources:`, and remove the generator.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
configMapGenerator:
- name: hello
  literals:
  - environment={environment}
  - team={tenant}
generatorOptions:
  disableNameSuffixHash: true
"""
_README = """# What runs where

Each folder here is an environment: what is pushed to it is applied by Flux within a minute, to a
namespace of your own in the clusters of that environment. The platform team knows its name.

Put Deployments, Services, ConfigMaps and the like beside a folder's `kustomization.yaml`, and name
them there below `resources:`. No manifest needs a namespace. A Deployment's pods run as non-root,
without privileges, and within the limits that the platform team has set for the namespace.
"""
