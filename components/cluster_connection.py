"""The connection to exactly one cluster."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

# The engine shows this name when it refuses.
DESTROY_HOOK = "compare the stack with its cluster (use --run-program)"


@dataclass(frozen=True, kw_only=True)
class ClusterConnectionArgs:
    """A kubeconfig file, a context in it, and the cluster's name in the fleet."""

    cluster: pulumi.Input[str]
    kubeconfig: pulumi.Input[str]
    context: pulumi.Input[str]


class ClusterConnection(pulumi.ComponentResource):
    """A Kubernetes provider that reaches only the cluster that it names.

    Pulumi.yaml sets `kubernetes:strictMode` and `pulumi:disable-default-providers`, so no resource
    can fall back to the current context.
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
            # A renewed credential or a moved kubeconfig may not replace the provider, and with it
            # all resources that use it. Only this identifier can, so a renamed stack keeps it.
            cluster_identifier=args.cluster,
            # The state must keep the resources of a cluster that cannot be reached for a while.
            delete_unreachable=False,
            # Such a cluster stops neither the refresh nor a preview. An `up` stops all the same: it
            # asks the cluster before it registers anything, and again at its end.
            skip_update_unreachable=True,
            # A run that was interrupted leaves objects that the state does not know. The next run
            # takes them over instead of failing.
            upsert_existing_objects=True,
            enable_patch_force=True,
            # A renewed token changes its Secret; replacing that would delete it first.
            enable_secret_mutable=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["clusterIdentifier"],
                # `pulumi destroy` would delete the tree in Git before it asks the cluster for
                # anything. With such a hook the engine refuses to destroy without the program,
                # which compares the stack with its cluster first.
                hooks=pulumi.ResourceHookBinding(
                    before_delete=[pulumi.ResourceHook(DESTROY_HOOK, _do_nothing)]
                ),
            ),
        )
        self.register_outputs({"context": args.context})


def _do_nothing(args: pulumi.ResourceHookArgs) -> None:
    """Return at once: the program has compared the stack with its cluster already."""
