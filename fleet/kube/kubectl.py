"""Questions to a cluster by kubectl, which signs in as the kubeconfig says, also by a plugin."""

from __future__ import annotations

import json
from pathlib import Path

from fleet import process
from fleet.errors import CommandError

_TIMEOUT = 30
# kubectl itself would wait for ever.
_REQUEST_TIMEOUT = "15s"


def cluster_uid(kubeconfig: Path, context: str) -> str:
    """Return the UID of a cluster, which is that of its Namespace kube-system.

    Raises CommandError when the cluster cannot be asked.
    """
    kubectl = process.find_program("kubectl") or "kubectl"
    options = [
        f"--kubeconfig={kubeconfig}",
        f"--context={context}",
        f"--request-timeout={_REQUEST_TIMEOUT}",
    ]
    answer = process.run(
        [kubectl, *options, "get", "--raw", "/api/v1/namespaces/kube-system"], timeout=_TIMEOUT
    )
    try:
        return str(json.loads(answer)["metadata"]["uid"])
    except (ValueError, TypeError, LookupError):
        raise CommandError("kubectl: the answer is no Namespace of Kubernetes") from None
