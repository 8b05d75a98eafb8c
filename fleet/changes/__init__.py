"""The effect of a change on all clusters."""
