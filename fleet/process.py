"""Other programs: find one, and run one to its end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from fleet import cache
from fleet.errors import CommandError, LimitError

# A Go program that gets no more memory ends with one of these.
_NO_MEMORY = re.compile(r"fatal error: (runtime: )?(out of memory|cannot allocate memory)")
# Go begins with 4 MiB, and a short run would take a third of its time to collect garbage.
_LESS_GARBAGE_COLLECTION: Mapping[str, str] = {"GOGC": "400"}


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH or of one that `make check-tools` built, else None."""
    built = cache.programs() / name
    return shutil.which(name) or (str(built) if built.exists() else None)


def run(
    args: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    accept: Container[int] = (0,),
    memory: int | None = None,
) -> str:
    """Run a program and return its standard output.

    `timeout` is in seconds, `memory` in MiB. `env`, if given, replaces the whole environment.
    `accept` lists the exit codes that mean success. Raises CommandError when the program fails,
    with the last lines that it wrote to standard error, and when it is missing; LimitError when it
    needs more time or memory. Only Linux enforces `memory`.
    """
    name = Path(args[0]).name
    command = [str(arg) for arg in args]
    if memory is not None and os.name == "posix":
        command = _with_memory_limit(command, memory)
        env = {**_LESS_GARBAGE_COLLECTION, **(os.environ if env is None else env)}
        # Go collects its garbage before it reaches this.
        env["GOMEMLIMIT"] = f"{memory * 3 // 4}MiB"
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            # Names of files may be no UTF-8, and they appear in output.
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
            cwd=cwd,
            env=env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )
    except FileNotFoundError:
        raise CommandError(f"{name}: not found; install it or put it on PATH") from None
    except subprocess.TimeoutExpired:
        raise LimitError(f"{name}: no answer within {timeout:.0f} s") from None
    if done.returncode not in accept:
        if memory is not None and _NO_MEMORY.match(done.stderr):
            raise LimitError(f"{name}: needs more than {memory} MiB of memory")
        said = (done.stderr or done.stdout).encode("utf-8", "replace").decode()
        last_lines = said.strip().splitlines()[-3:]
        raise CommandError(f"{name}: exit {done.returncode}: {' | '.join(last_lines)}")
    return done.stdout


def _with_memory_limit(command: Sequence[str], memory: int) -> list[str]:
    """Return a command that runs `command` with at most `memory` MiB."""
    # A shell sets the limit, because Python cannot do so safely in a program with threads. A lower
    # limit of the user stays.
    script = 'ulimit -d "$0" 2>/dev/null; exec "$@"'
    return ["/bin/sh", "-c", script, str(memory * 1024), *command]
