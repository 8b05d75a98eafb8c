"""A request to Flux to pull a GitRepository, which Pulumi waits for."""

from __future__ import annotations

import json

import pulumi
import pulumi_kubernetes as kubernetes

from components.apply_once import FORCE_ANNOTATION

# A pull takes seconds. One that takes longer has failed, and Flux is trying again.
TIMEOUT = "2m"


def reconcile_source(
    namespace: str, name: str, *, token: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.CustomResource:
    """Have Flux pull a GitRepository whenever `token` changes, and wait until it has.

    `token` is any text without "="; `opts` depends on the GitRepository and on what Flux is to
    pull. The resource is a patch of one annotation, the one that `flux reconcile` sets. The object
    is in Git, so removing the stack leaves it alone. If somebody else has set the annotation
    since, the next `up` shows one update and Flux pulls once more: a refresh cannot tell that from
    a change to undo. The provider stores what it waits for in an annotation of the same object, so
    the manifests in Git may not have a `pulumi.com/waitFor` of their own.
    """
    token = pulumi.Output.from_input(token)
    return kubernetes.apiextensions.CustomResourcePatch(
        f"GitRepositoryPatch/{namespace}/{name}",
        api_version="source.toolkit.fluxcd.io/v1",
        kind="GitRepository",
        metadata={
            "name": name,
            "namespace": namespace,
            "annotations": {
                "reconcile.fluxcd.io/requestedAt": token,
                # `flux reconcile` sets the same annotation as another field manager.
                FORCE_ANNOTATION: "true",
                "pulumi.com/waitFor": token.apply(_wait_conditions),
            },
        },
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                custom_timeouts=pulumi.CustomTimeouts(create=TIMEOUT, update=TIMEOUT),
                retain_on_delete=True,
            ),
        ),
    )


def _wait_conditions(token: str) -> str:
    """Return the provider's wait conditions; Ready alone may still be about an earlier pull."""
    return json.dumps([f"jsonpath={{.status.lastHandledReconcileAt}}={token}", "condition=Ready"])
