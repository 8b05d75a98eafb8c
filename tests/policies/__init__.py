"""Shipped Kyverno policies and the objects that they judge."""
