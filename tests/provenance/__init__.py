"""Tests of the chains that bring objects into clusters."""
