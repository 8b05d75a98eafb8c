"""Tests of fleet/kube."""
