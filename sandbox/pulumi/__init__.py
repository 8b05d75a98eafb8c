"""The real Pulumi engine, run in the sandbox."""
