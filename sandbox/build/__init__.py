"""The real programs, manifests, charts and schemas that the sandbox is made of, built once."""
