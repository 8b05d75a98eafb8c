"""The sandbox, for real."""
