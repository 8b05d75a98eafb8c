"""Builds of the programs, manifests, charts and schemas that the sandbox uses, each made once."""
