"""Pulumi components: they deliver what `fleet` computes. Only they and `__main__.py` use pulumi."""
