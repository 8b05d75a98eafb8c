"""Secrets of a sandbox, each in a file that only its owner may read."""

from __future__ import annotations

import secrets
from pathlib import Path

from fleet import files
from sandbox.host.lock import locked


def secret_file(file: Path) -> Path:
    """Return the file, with a new secret if it does not exist.

    The runs of several stacks ask at the same time, and all of them have to get the same secret.
    """
    with locked(file.with_name(f"{file.name}.lock")):
        if not file.exists():
            files.write(file, secrets.token_urlsafe(24).encode(), 0o600)
    return file
