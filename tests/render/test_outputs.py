"""The outputs of a stack."""

from __future__ import annotations

from pathlib import Path

from fleet.config import load
from fleet.render.outputs import stack_outputs


def test_outputs_name_the_delivery_and_the_commands_that_look_at_it(checkout: Path) -> None:
    kubectl = "kubectl --kubeconfig /home/me/kubeconfig --context k3d-dev"
    assert stack_outputs(load.stack(checkout, "dev"), Path("/home/me/kubeconfig")) == {
        "path": "clusters/dev",
        "repository": "acme/platform",
        "branch": "main",
        "context": "k3d-dev",
        "fluxVersion": "v2.9.2",
        "look": {
            "sync": f"{kubectl} -n flux-system get gitrepositories,kustomizations",
            "releases": f"{kubectl} get helmreleases -A",
            "workloads": f"{kubectl} get deployments,daemonsets -A",
            "tenants": f"{kubectl} get namespaces -l platform.example.com/tenant",
        },
    }
