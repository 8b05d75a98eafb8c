"""The `fleet` command: its parser and its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fleet.cli import check, diff, fetch, impact, render, schema
from fleet.errors import FleetError

# The order is that of `fleet --help`.
_COMMANDS = (render, check, diff, impact, fetch, schema)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, which is 1 when it fails or finds problems."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # A reader like `head` has closed the pipe. Python flushes standard output once more at
        # exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleet",
        description="Render and check what each cluster runs, from one Git repository.",
        epilog="Changes reach clusters only by `pulumi up -s <stack>`; no command here writes to "
        "Git or to a cluster.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(commands)
    return parser
