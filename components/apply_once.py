"""Objects that Pulumi applies once and that Flux manages from then on."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from fleet.kube.manifest import Manifest
from fleet.render import flux

FIELD_MANAGER_ANNOTATION = "pulumi.com/patchFieldManager"
FLUX_FIELD_MANAGER = "kustomize-controller"
# Not every version of the provider has a setting for this. Flux forces its fields in the same way.
FORCE_ANNOTATION = "pulumi.com/patchForce"
SKIP_AWAIT_ANNOTATION = "pulumi.com/skipAwait"


def apply_once(
    manifest: Manifest,
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
    kustomization: str = flux.SYNC_NAME,
    prefix: str = "",
    wait: bool = True,
    update: bool = False,
) -> pulumi.CustomResource:
    """Apply an object of the tree once; Flux manages it from then on.

    Pulumi ignores later changes of the object and leaves it in the cluster when it leaves the
    program: Flux changes it and removes it, from Git. Pulumi uses Flux's field manager, because
    Flux cannot remove a field that another manager has set. It sets the labels by which Flux knows
    the objects of its `kustomization`: without a state it applies an object that Flux has already,
    and Flux never removes one that has lost these labels. A URN does not hold the parent's name,
    so two components that may apply the same object need a `prefix` each. Without `wait`, the run
    goes on before the object is ready. With `update`, Pulumi also changes an object that the state
    knows and that somebody has changed in the cluster.
    """
    metadata = manifest["metadata"]
    name_parts = (prefix, manifest["kind"], metadata.get("namespace"), metadata["name"])
    annotations = {
        **metadata.get("annotations", {}),
        FIELD_MANAGER_ANNOTATION: FLUX_FIELD_MANAGER,
        FORCE_ANNOTATION: "true",
    }
    if not wait:
        annotations[SKIP_AWAIT_ANNOTATION] = "true"
    labels = {**metadata.get("labels", {}), **flux.owner_labels(kustomization)}
    return pulumi.CustomResource(
        type_token(manifest["apiVersion"], manifest["kind"]),
        "/".join(filter(None, name_parts)),
        {**manifest, "metadata": {**metadata, "labels": labels, "annotations": annotations}},
        pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(after),
            ignore_changes=[] if update else ["*"],
            retain_on_delete=True,
        ),
    )


def type_token(api_version: str, kind: str) -> str:
    """Return the Kubernetes provider's type token, for example kubernetes:apps/v1:Deployment."""
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"
