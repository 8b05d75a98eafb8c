"""Tests of `fleet/inventory`."""
