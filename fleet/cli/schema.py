"""`fleet schema`: print the JSON Schema of a stack file."""

from __future__ import annotations

import argparse
import sys

from fleet.cli import options
from fleet.config import stack_schema


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("schema", help="print the JSON Schema of a stack file")
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    sys.stdout.write(stack_schema.generate())
    return 0
