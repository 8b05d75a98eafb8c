"""Run `up`, `down`, `shell` or `tools`, as the Makefile does."""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import FleetError
from sandbox.build import parts, tools
from sandbox.host.checkout import CHECKOUT
from sandbox.sandbox import Sandbox
from sandbox.sandbox_error import SandboxError
from sandbox.shell import run_shell

_STATE = CHECKOUT / ".sandbox"


def main() -> int:
    """Run one command; return 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    commands.add_parser("up", help="build what is missing, start everything, print the table")
    commands.add_parser("down", help="stop everything that `up` started and remove its state")
    build = commands.add_parser("tools", help="only build what is missing")
    extent = build.add_mutually_exclusive_group()
    extent.add_argument("--check", action="store_true", help="only what `fleet check` needs")
    extent.add_argument("--tests", action="store_true", help="also what only tests need")
    shell = commands.add_parser("shell", help="open a shell in the working copy of the sandbox")
    shell.add_argument("-c", dest="line", metavar="LINE", help="run this line instead")
    args = parser.parse_args()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    try:
        if args.command == "tools":
            if args.check:
                tools.build_for_check(say)
            else:
                tools.build(say, tuple(parts.PARTS) if args.tests else parts.TOOL_PARTS)
            return 0
        if args.command == "shell":
            return run_shell(Sandbox(_STATE), args.line)
        with _locked(_STATE):
            sandbox = Sandbox(_STATE)
            if args.command == "up":
                return 0 if sandbox.start(say, spoke=True) else 1
            stopped = sandbox.stop()
            say(f"stopped {len(stopped)} processes" if stopped else "nothing was running")
            return 0
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Allow one run at a time for this state folder."""
    lock = state.with_name(f"{state.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(
                "another `make sandbox` runs in this checkout; wait for it"
            ) from None
        yield


if __name__ == "__main__":
    sys.exit(main())
