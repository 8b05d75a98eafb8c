"""Tests without network, engine or cluster."""
