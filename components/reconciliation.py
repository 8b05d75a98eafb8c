"""Flux is told to pull, and awaited."""

from __future__ import annotations

import json

import pulumi
import pulumi_kubernetes as kubernetes

# A pull takes seconds; what takes longer is a failure that Flux goes on retrying.
TIMEOUT = "2m"


def reconcile_source(
    namespace: str, name: str, *, token: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.CustomResource:
    """Have Flux pull a GitRepository whenever `token` is another, and wait until it has.

    `token` is any text without "="; `opts` says on what it depends: the GitRepository itself, and
    what is to be pulled. It is a patch of one annotation of an object that Git owns, the one that
    `flux reconcile` sets, so the removal of the stack leaves it alone. Where somebody else has set
    it since, the next `up` shows one update and Flux pulls once more: a refresh cannot tell that
    from a change that is to be undone. The provider keeps what it waits for in an annotation of
    the same object, so the documents in Git may not have a `pulumi.com/waitFor` of their own.
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
                "pulumi.com/waitFor": token.apply(_handled),
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


def _handled(token: str) -> str:
    """Return what the provider waits for: Ready alone may still be that of the pull before."""
    return json.dumps([f"jsonpath={{.status.lastHandledReconcileAt}}={token}", "condition=Ready"])
