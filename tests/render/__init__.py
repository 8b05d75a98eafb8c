"""Tests of fleet/render."""
