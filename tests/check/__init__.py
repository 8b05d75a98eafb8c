"""Tests of fleet/check."""
