"""Simulations of what `pulumi up` does over time."""
