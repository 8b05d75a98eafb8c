"""End-to-end tests, on a sandbox that runs."""
