"""The part of the product that needs no engine and no cluster. Nothing here imports pulumi."""
