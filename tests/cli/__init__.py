"""Tests of fleet/cli."""
