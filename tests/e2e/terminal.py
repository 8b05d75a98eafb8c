"""A terminal in which `make shell` runs, and a person types."""

from __future__ import annotations

import os
import re
import sys

import pexpect

from sandbox.host.checkout import CHECKOUT
from tests.e2e.sandbox import Sandbox

PROMPT = "(sandbox) platform # " if os.geteuid() == 0 else "(sandbox) platform $ "
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
# One command may wait for three clusters on a loaded machine.
TIMEOUT = 300
SHELL = (
    "import pathlib, sys; from sandbox.sandbox import Sandbox; "
    "from sandbox.shell import run_shell; "
    "sys.exit(run_shell(Sandbox(pathlib.Path(sys.argv[1])), None))"
)


class Terminal:
    """A terminal in which the shell of a sandbox runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._child = pexpect.spawn(
            sys.executable,
            ["-c", SHELL, str(sandbox.state)],
            cwd=str(CHECKOUT),
            timeout=TIMEOUT,
            encoding="utf-8",
            echo=False,
            dimensions=(50, 200),
        )
        self._child.expect_exact(PROMPT)

    def type(self, line: str) -> str:
        """Type a line, wait for the next prompt and return the output, without colours."""
        self._child.sendline(line)
        self._child.expect_exact(PROMPT)
        return ESCAPES.sub("", self._child.before or "").strip()

    def close(self) -> None:
        """Leave the shell."""
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        self._child.close()
