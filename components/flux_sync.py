"""What Flux pulls in one cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.apply_once import Document, plant
from components.reconciliation import reconcile_source


@dataclass(frozen=True, kw_only=True)
class FluxSyncArgs:
    """The platform's GitRepository and root Kustomization, and what they need.

    They are planted when `flux` is there and `tree`, what they pull, is committed. Flux is told to
    pull whenever `digest`, the tree's, is another.
    """

    source: Document
    root: Document
    flux: Sequence[pulumi.Resource]
    tree: Sequence[pulumi.Resource]
    digest: pulumi.Input[str]


class FluxSync(pulumi.ComponentResource):
    """The same two documents as in the tree, planted once.

    Every run that commits something ends when Flux has pulled it; one that changes nothing asks
    nothing of Flux. Removing the stack leaves them, and all that Flux runs, in place.
    """

    def __init__(
        self, name: str, args: FluxSyncArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:FluxSync", name, None, opts)
        planted = plant(args.source, parent=self, after=[*args.flux, *args.tree])
        metadata = args.source["metadata"]
        pulled = reconcile_source(
            metadata["namespace"],
            metadata["name"],
            token=args.digest,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[planted, *args.tree]),
        )
        # A source that cannot be pulled says why; the Kustomization only that it has none.
        plant(args.root, parent=self, after=[pulled])
        self.register_outputs({})
