"""Flux in one cluster: applied once by Pulumi, managed by Flux itself from then on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.apply_once import apply_once
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render.flux import PULL_SECRET


@dataclass(frozen=True, kw_only=True)
class FluxInstallationArgs:
    """The objects of Flux, and the token with which it pulls the platform's repository.

    `waves` lists the objects in the order in which they may be applied: Namespaces and
    CustomResourceDefinitions before the objects that need them. Only a private repository needs a
    `pull_token`.
    """

    waves: Sequence[Sequence[Manifest]]
    pull_token: pulumi.Input[str] | None = None


class FluxInstallation(pulumi.ComponentResource):
    """Flux's definitions, permissions and controllers, and its token for the platform's repository.

    The same objects are in the tree. Pulumi applies them once and waits for them. Flux
    manages them from then on and changes them from Git, so no two field managers fight. Removing
    the stack leaves Flux, and everything that it runs, in the cluster.
    """

    manifests: list[Manifest]
    """The objects as given, in order."""
    resources: list[pulumi.Resource]
    """The resources that must exist before Flux can reconcile anything."""

    def __init__(
        self, name: str, args: FluxInstallationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:FluxInstallation", name, None, opts)
        self.manifests = [manifest for wave in args.waves for manifest in wave]
        self.resources = []
        for wave in args.waves:
            applied = [apply_once(item, parent=self, after=self.resources) for item in wave]
            # An empty wave must not lose the order.
            self.resources = [*applied] or self.resources
        if args.pull_token is not None:
            self.resources = [*self.resources, self._pull_secret(args.pull_token)]
        self.register_outputs({})

    def _pull_secret(self, token: pulumi.Input[str]) -> kubernetes.core.v1.Secret:
        return kubernetes.core.v1.Secret(
            f"Secret/{FLUX_NAMESPACE}/{PULL_SECRET}",
            metadata={"name": PULL_SECRET, "namespace": FLUX_NAMESPACE},
            string_data={"username": "git", "password": pulumi.Output.secret(token)},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self.resources,
                # `pulumi destroy` stops at the protected entrypoint; Flux must still be able to
                # pull then.
                retain_on_delete=True,
            ),
        )
