"""What a team's own repository holds when fleet makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from fleet.tenants import Team


def environments(owns: Mapping[str, Mapping[str, Any]], team: Team) -> dict[str, str]:
    """Return the namespace by environment, in all stacks that have this team's repository.

    `owns` are the stacks' own files; what is wrong in another one is told where that is loaded.
    """
    found: dict[str, str] = {}
    for name, own in owns.items():
        cluster, tenants = own.get("cluster"), own.get("tenants")
        environment = str((isinstance(cluster, dict) and cluster.get("environment")) or name)
        for entry in tenants if isinstance(tenants, list) else ():
            repository = entry.get("repository") if isinstance(entry, dict) else None
            url = repository.get("url") if isinstance(repository, dict) else None
            if (entry.get("name"), url) == (team.name, team.repository.url):
                found[environment] = str(entry.get("namespace") or f"{team.name}-{environment}")
    return found


def starting_files(team: Team, namespaces: Mapping[str, str]) -> dict[str, str]:
    """Return path to text: a first thing to deploy in each environment, and what to do next.

    `namespaces` are by environment. A ConfigMap is something to see, and lets Flux be Ready.
    """
    files = {"deploy/README.md": _readme(namespaces)}
    for environment, namespace in namespaces.items():
        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "configMapGenerator": [
                {"name": "hello", "literals": [f"environment={environment}", f"team={team.name}"]}
            ],
            "generatorOptions": {"disableNameSuffixHash": True},
        }
        text = f"# Applied to the namespace {namespace}; name your manifests below `resources:`.\n"
        files[f"deploy/{environment}/kustomization.yaml"] = text + yaml.safe_dump(
            content, sort_keys=False
        )
    return dict(sorted(files.items()))


def _readme(namespaces: Mapping[str, str]) -> str:
    rows = "\n".join(f"| `deploy/{e}` | `{n}` |" for e, n in sorted(namespaces.items()))
    return f"""# What runs where

What is pushed here is applied by Flux within a minute:

| folder | namespace |
|---|---|
{rows}

Put Deployments, Services, ConfigMaps and the like beside a folder's `kustomization.yaml` and name
them there below `resources:`. No manifest needs a namespace. A Deployment's pods run as non-root,
without privileges, and with the limits that the platform team has set for the namespace.
"""
