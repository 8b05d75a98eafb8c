"""Flux in one cluster: planted once, then grown from Git."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.apply_once import Document, plant


@dataclass(frozen=True, kw_only=True)
class FluxInstallationArgs:
    """What is planted.

    `waves` are Kubernetes objects in the order in which they may be applied: namespaces and
    definitions before what needs them. `pull_token`, when given, lets Flux read a private
    repository by the Secret `pull_secret` in `namespace`.
    """

    namespace: str
    waves: Sequence[Sequence[Document]]
    pull_secret: str
    pull_token: pulumi.Input[str] | None = None


class FluxInstallation(pulumi.ComponentResource):
    """Flux's definitions, rights and controllers, and its token for the platform's repository.

    The same documents as in the tree, applied once and awaited. From then on Git owns them: later
    changes of theirs reach the cluster through Flux alone, so no two field managers fight. Removing
    the stack leaves Flux, and all that it runs, in place.
    """

    resources: list[pulumi.Resource]
    """What has to be there before anything of Flux is made."""

    def __init__(
        self, name: str, args: FluxInstallationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:FluxInstallation", name, None, opts)
        self.resources = []
        for wave in args.waves:
            planted = [plant(document, parent=self, after=self.resources) for document in wave]
            self.resources = [*planted] or self.resources
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
                    depends_on=self.resources,
                    # A `destroy` that is refused at the tree must not have cut Flux off.
                    retain_on_delete=True,
                ),
            )
            self.resources = [*self.resources, secret]
        self.register_outputs({})
