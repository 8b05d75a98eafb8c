"""Flux in one cluster: planted once, then grown from Git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.reconciliation import reconcile_source

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FluxInstallationArgs:
    """What is planted.

    `waves` are Kubernetes objects in the order in which they may be applied: namespaces and
    definitions before what needs them. `sync` is the GitRepository and the root Kustomization,
    planted when `tree`, what they pull, is committed. Flux is told to pull whenever `digest`, the
    tree's, is another. `pull_token`, when given, lets Flux read a private repository by the
    Secret `pull_secret` in `namespace`.
    """

    namespace: str
    waves: Sequence[Sequence[Document]]
    sync: tuple[Document, Document]
    tree: Sequence[pulumi.Resource]
    digest: pulumi.Input[str]
    pull_secret: str
    pull_token: pulumi.Input[str] | None = None


class FluxInstallation(pulumi.ComponentResource):
    """The same documents as in the tree, applied once and awaited.

    From then on Git owns them: later changes of theirs reach the cluster through Flux alone, so no
    two field managers fight. Every run that commits something ends when Flux has pulled it; one
    that changes nothing asks nothing of Flux. Removing the stack leaves Flux, and all that it
    runs, in place.
    """

    def __init__(
        self, name: str, args: FluxInstallationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:FluxInstallation", name, None, opts)
        earlier: list[pulumi.Resource] = []
        for wave in args.waves:
            earlier = [self._plant(document, earlier) for document in wave] or earlier
        if args.pull_token is not None:
            secret = kubernetes.core.v1.Secret(
                f"Secret/{args.namespace}/{args.pull_secret}",
                metadata={"name": args.pull_secret, "namespace": args.namespace},
                string_data={
                    "username": "git",
                    "password": pulumi.Output.secret(args.pull_token),
                },
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=earlier,
                    # A `destroy` that is refused at the tree must not have cut Flux off.
                    retain_on_delete=True,
                ),
            )
            earlier = [*earlier, secret]
        source, root = args.sync
        planted = self._plant(source, [*earlier, *args.tree])
        pulled = reconcile_source(
            source["metadata"]["namespace"],
            source["metadata"]["name"],
            token=args.digest,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[planted, *args.tree]),
        )
        # A source that cannot be pulled says why; the Kustomization only that it has none.
        self._plant(root, [pulled])
        self.register_outputs({})

    def _plant(
        self, document: Document, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.CustomResource:
        metadata = document["metadata"]
        name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        return pulumi.CustomResource(
            type_token(document["apiVersion"], document["kind"]),
            f"{document['kind']}/{name}",
            dict(document),
            pulumi.ResourceOptions(
                parent=self,
                depends_on=list(depends_on),
                ignore_changes=["*"],
                retain_on_delete=True,
            ),
        )


def type_token(api_version: str, kind: str) -> str:
    """Return the Kubernetes provider's type of an object, as kubernetes:apps/v1:Deployment."""
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"
