"""The objects with which Flux pulls the platform's repository into one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.apply_once import apply_once
from components.reconciliation import reconcile_source
from fleet.kube.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class FluxSyncArgs:
    """The platform's GitRepository and root Kustomization, and what must exist before them.

    They are applied after `flux` is installed and `tree`, which they pull, is committed. Flux
    pulls again whenever `digest`, the digest of the tree, changes. With `takes_over`, both objects
    may be there already and name another place.
    """

    manifests: tuple[Manifest, Manifest]
    flux: Sequence[pulumi.Resource]
    tree: Sequence[pulumi.Resource]
    digest: pulumi.Input[str]
    takes_over: bool = False


class FluxSync(pulumi.ComponentResource):
    """The GitRepository and the root Kustomization of the tree, applied once and managed by Flux.

    A run that commits something ends when Flux has pulled it; a run that changes nothing asks
    nothing of Flux. Removing the stack leaves both objects, and everything that Flux runs, in the
    cluster.
    """

    resources: list[pulumi.Resource]
    """The resources that exist when Flux has pulled the tree and applied its entrypoint."""

    def __init__(
        self, name: str, args: FluxSyncArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:FluxSync", name, None, opts)
        source, root = args.manifests
        needed = [*args.flux, *args.tree]
        if args.takes_over:
            # The root Kustomization reads the former place until Flux has pulled the new one. What
            # that place says of both objects must not replace what is applied here.
            suspended = _with_suspend(root, value=True)
            needed.append(apply_once(suspended, parent=self, after=needed))
            # After a refresh, a field that is only missing here is no difference for the engine.
            root = _with_suspend(root, value=False)
        applied = apply_once(source, parent=self, after=needed, update=args.takes_over)
        metadata = source["metadata"]
        pulled = reconcile_source(
            metadata["namespace"],
            metadata["name"],
            token=args.digest,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[applied, *args.tree],
                # The user has to unprotect it before `pulumi destroy` goes on. It is nothing that
                # leaves the program when the cluster moves.
                protect=True,
            ),
        )
        # The GitRepository reports why a pull failed; the Kustomization would only report that it
        # has no source. So the pull comes first.
        root_applied = apply_once(root, parent=self, after=[pulled], update=args.takes_over)
        self.resources = [*needed, pulled, root_applied]
        self.register_outputs({})


def _with_suspend(root: Manifest, *, value: bool) -> Manifest:
    return {**root, "spec": {**root["spec"], "suspend": value}}
