"""The progress of a command that takes long."""

from __future__ import annotations

import sys


def show(step: str) -> None:
    """Print the next step, for a person. Logs of a pipeline need no progress."""
    if sys.stderr.isatty():
        print(step, file=sys.stderr)
