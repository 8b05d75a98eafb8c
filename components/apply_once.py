"""Objects that Pulumi plants and Git grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Document = Mapping[str, Any]

FIELD_MANAGER = "pulumi.com/patchFieldManager"
FLUX = "kustomize-controller"


def plant(
    document: Document,
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
    whose: str = "",
) -> pulumi.CustomResource:
    """Apply a document of the tree once: later changes reach the cluster through Flux alone.

    It is applied in the name of Flux: what another manager has set, Git could never take away.
    It stays when it leaves the program: who removes it is Flux, from Git. Components' names are no
    part of their children's identity; `whose` is, for objects that two components may plant.
    """
    metadata = document["metadata"]
    names = (whose, document["kind"], metadata.get("namespace"), metadata["name"])
    annotations = {**metadata.get("annotations", {}), FIELD_MANAGER: FLUX}
    return pulumi.CustomResource(
        type_token(document["apiVersion"], document["kind"]),
        "/".join(filter(None, names)),
        {**document, "metadata": {**metadata, "annotations": annotations}},
        pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(after),
            ignore_changes=["*"],
            retain_on_delete=True,
        ),
    )


def type_token(api_version: str, kind: str) -> str:
    """Return the Kubernetes provider's type of an object, as kubernetes:apps/v1:Deployment."""
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"
