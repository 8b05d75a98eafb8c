"""What a team's own repository holds when fleet makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.config.base import DNS_LABEL
from fleet.config.git_urls import same_repository
from fleet.config.tenant import Tenant
from fleet.kube import yaml_writer


def environments(owns: Mapping[str, Mapping[str, Any]], tenant: Tenant) -> list[str]:
    """Return the environments of all stacks that have this team, this repository and no own path.

    `owns` are the stacks' own files; what is wrong in another one is told where that is loaded.
    """
    found: set[str] = set()
    wanted = (tenant.name, same_repository(tenant.repository.url))
    for name, own in owns.items():
        cluster, tenants = own.get("cluster"), own.get("tenants")
        environment = str((isinstance(cluster, dict) and cluster.get("environment")) or name)
        for entry in tenants if isinstance(tenants, list) else ():
            if not isinstance(entry, dict) or "path" in entry:
                continue
            repository = entry.get("repository")
            url = repository.get("url") if isinstance(repository, dict) else None
            if (entry.get("name"), same_repository(str(url))) == wanted:
                found.add(environment)
    return sorted(one for one in found if re.fullmatch(DNS_LABEL, one))


def starting_files(tenant: Tenant, environments: Sequence[str]) -> dict[str, str]:
    """Return path to text: what to do, and a first thing to deploy in each environment.

    A ConfigMap is something to see, and lets Flux be Ready.
    """
    files = {"deploy/README.md": _README}
    for environment in environments:
        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "configMapGenerator": [
                {"name": "hello", "literals": [f"environment={environment}", f"team={tenant.name}"]}
            ],
            "generatorOptions": {"disableNameSuffixHash": True},
        }
        text = yaml_writer.dump(content)
        files[f"deploy/{environment}/kustomization.yaml"] = f"{_FIRST_LINE}{text}"
    return files


_FIRST_LINE = "# Name your manifests below `resources:`, and remove the generator.\n"
_README = """# What runs where

Each folder here is an environment: what is pushed to it is applied by Flux within a minute, to a
namespace of your own in the clusters of that environment. The platform team knows its name.

Put Deployments, Services, ConfigMaps and the like beside a folder's `kustomization.yaml`, and name
them there below `resources:`. No manifest needs a namespace. A Deployment's pods run as non-root,
without privileges, and within the limits that the platform team has set for the namespace.
"""
