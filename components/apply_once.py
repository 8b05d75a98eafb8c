"""Objects that Pulumi applies once and that Flux manages from then on."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from fleet.kube.fields import mapping_at
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
    tenant: str = "",
    update: bool = False,
) -> pulumi.CustomResource:
    """Apply an object of the tree once; Flux manages it from then on.

    Pulumi ignores later changes of the object and leaves it in the cluster when it leaves the
    program: Flux changes it and removes it, from Git. Pulumi uses Flux's field manager, because
    Flux cannot remove a field that another manager has set. It sets Flux's labels of the
    Kustomization that the object is part of, the one of `tenant` or the root: without a state it
    applies an object that Flux has already, and Flux never removes one that has lost these labels.
    With `update`, Pulumi also changes an object that the state knows and that somebody has changed
    in the cluster.
    """
    metadata = manifest["metadata"]
    is_suspended = mapping_at(manifest, "spec").get("suspend") is True
    # A URN does not hold the parent's name, so two tenants may apply the same object. The root
    # Kustomization may be applied suspended first, and then once more.
    prefixes = (tenant, "suspended" if is_suspended else "")
    name_parts = (*prefixes, manifest["kind"], metadata.get("namespace"), metadata["name"])
    annotations = {
        **metadata.get("annotations", {}),
        FIELD_MANAGER_ANNOTATION: FLUX_FIELD_MANAGER,
        FORCE_ANNOTATION: "true",
    }
    # A GitRepository may still hold the wait condition of an earlier pull, which is never met
    # again, and what is suspended never becomes ready.
    if is_suspended or manifest["kind"] == "GitRepository":
        annotations[SKIP_AWAIT_ANNOTATION] = "true"
    kustomization = flux.tenant_kustomization_name(tenant) if tenant else flux.SYNC_NAME
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
