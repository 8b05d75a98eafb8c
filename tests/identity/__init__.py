"""Tests of `fleet.identity`."""
