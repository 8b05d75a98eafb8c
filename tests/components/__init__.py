"""Tests of components/ and __main__.py, with Pulumi mocks."""
