"""Tests of fleet/identity."""
