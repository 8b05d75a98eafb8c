"""The inventory: what each cluster is supposed to hold, and what brings it."""
