"""The namespaces that every cluster has, and Flux's own."""

from __future__ import annotations

# Namespaces that every cluster has by itself.
BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


FLUX_NAMESPACE = "flux-system"
