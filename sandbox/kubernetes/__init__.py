"""Clusters of the sandbox, and the Flux controllers that run in them."""
