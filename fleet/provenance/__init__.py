"""The chains that bring objects into clusters."""
