"""Tests of fleet/promote."""
