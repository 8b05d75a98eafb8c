"""The `fleet` command. Each family of commands has a file with `register` and its handler."""
