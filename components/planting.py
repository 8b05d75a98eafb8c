"""Objects that Pulumi plants and Git grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Document = Mapping[str, Any]


def plant(
    document: Document,
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
    whose: str = "",
) -> pulumi.CustomResource:
    """Apply a document of the tree once: later changes reach the cluster through Flux alone.

    It stays when it leaves the program: who removes it is Flux, from Git. Components' names are no
    part of their children's identity; `whose` is, for objects that two components may plant.
    """
    metadata = document["metadata"]
    names = (whose, document["kind"], metadata.get("namespace"), metadata["name"])
    return pulumi.CustomResource(
        type_token(document["apiVersion"], document["kind"]),
        "/".join(filter(None, names)),
        dict(document),
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
