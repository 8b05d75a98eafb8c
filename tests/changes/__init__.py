"""Tests of the effect of a change."""
