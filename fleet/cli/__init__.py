"""The `fleet` command: one file for each family of commands."""
