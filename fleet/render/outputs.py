"""The outputs of a stack, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleet.config.models import Stack
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux


def stack_outputs(stack: Stack, kubeconfig: Path) -> dict[str, Any]:
    """Return the outputs of the stack: what it delivers, and commands that show it running."""
    repository = stack.config.repository
    context = stack.config.cluster.context
    kubectl = f"kubectl --kubeconfig {kubeconfig} --context {context}"
    return {
        "path": stack.path,
        "repository": f"{repository.owner}/{repository.name}",
        "branch": repository.branch,
        "context": context,
        "fluxVersion": stack.config.flux.version,
        "look": {
            "sync": f"{kubectl} -n {FLUX_NAMESPACE} get gitrepositories,kustomizations",
            "releases": f"{kubectl} get helmreleases -A",
            "workloads": f"{kubectl} get deployments,daemonsets -A",
            "tenants": f"{kubectl} get namespaces -l {flux.TENANT_LABEL}",
        },
    }
