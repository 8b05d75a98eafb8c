"""All that needs neither the engine nor a cluster. Nothing here imports pulumi."""
