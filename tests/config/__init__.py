"""Tests of fleet/config."""
