"""Namespaces with a fixed name: those of every cluster, and Flux's."""

from __future__ import annotations

BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
FLUX_NAMESPACE = "flux-system"
