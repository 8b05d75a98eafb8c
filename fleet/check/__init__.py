"""From files to findings: what `fleet check` does."""
