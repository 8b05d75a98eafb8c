"""Tests of the charts and of HelmReleases."""
