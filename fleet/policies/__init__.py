"""Kyverno's policies, judged on the objects of their own clusters before these do it."""
