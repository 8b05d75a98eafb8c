"""Pulumi components: they deliver what `fleet` decides. Nothing else imports pulumi."""
