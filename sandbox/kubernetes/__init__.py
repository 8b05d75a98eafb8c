"""The sandbox's clusters, and the Flux controllers that run in them."""
