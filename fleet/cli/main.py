"""The `fleet` command: its parser and its exit codes."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence

from fleet import files
from fleet.errors import FleetError
from fleet.printable import printable

# Each is a module beside this one. The order is that of `fleet --help`.
_COMMANDS = (
    "where",
    "why",
    "matrix",
    "diff",
    "impact",
    "promote",
    "render",
    "check",
    "fetch",
    "schema",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, which is 1 when it fails or finds problems."""
    if argv is None:
        # A program that ends soon need not look for what it could forget in a large fleet.
        gc.disable()
        tempfile.tempdir = files.folder_in_memory()
    words = sys.argv[1:] if argv is None else argv
    args = _parser(words).parse_args(words)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except FleetError as error:
        for line in str(error).splitlines():
            print(printable(line), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # A reader like `head` has closed the pipe. Python flushes standard output once more at
        # exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        if argv is None:
            # Python looks once more at all objects when it ends, unless they are set aside.
            gc.freeze()
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command that the words begin with, or of all commands.

    A command answers sooner without the modules of all others.
    """
    parser = argparse.ArgumentParser(
        prog="fleet",
        description="Render and check what each cluster runs, from one Git repository.",
        epilog="Changes reach clusters only by `pulumi up -s <stack>`; no command here writes to "
        "Git or to a cluster.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = [name for name in words[:1] if name in _COMMANDS]
    for name in named or _COMMANDS:
        importlib.import_module(f"fleet.cli.{name}").register(commands)
    return parser
