"""The connection to exactly one cluster."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes


@dataclass(frozen=True, kw_only=True)
class ClusterConnectionArgs:
    """Which cluster: a kubeconfig file, a context in it, and the cluster's name in the fleet."""

    cluster: str
    kubeconfig: pulumi.Input[str]
    context: pulumi.Input[str]


class ClusterConnection(pulumi.ComponentResource):
    """A Kubernetes provider that can reach nothing but the cluster it names.

    Together with `kubernetes:strictMode` and `pulumi:disable-default-providers` in Pulumi.yaml, no
    resource can fall back to the current context.
    """

    provider: kubernetes.Provider

    def __init__(
        self,
        name: str,
        args: ClusterConnectionArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("fleet:index:ClusterConnection", name, None, opts)
        self.provider = kubernetes.Provider(
            name,
            kubeconfig=args.kubeconfig,
            context=args.context,
            # Only another cluster replaces the provider and all that is on it; a renewed
            # credential or a moved kubeconfig does not.
            cluster_identifier=args.cluster,
            # An outage must not make the state forget what is there.
            delete_unreachable=False,
            # An interrupted run leaves objects that the state does not know; the next one takes
            # them over instead of failing on them.
            upsert_existing_objects=True,
            enable_patch_force=True,
            # A renewed token changes its Secret; replacing that would delete it first.
            enable_secret_mutable=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"context": args.context})
