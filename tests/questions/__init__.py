"""Tests of the answers about what runs where."""
