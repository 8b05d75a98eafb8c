"""The rules of `fleet check`, and the builds that they judge."""
