"""The one way this project runs another program."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from fleet import cache
from fleet.errors import CommandError


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH or among those that `make tools` built, else None."""
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
) -> str:
    """Run a program to its end and return what it wrote to standard output.

    `timeout` is in seconds. `env`, when given, is the whole environment. `accept` are the exit
    codes that are no failure. Raises CommandError with the program's last lines of standard error
    when it fails, is missing or takes too long.
    """
    name = Path(args[0]).name
    try:
        done = subprocess.run(
            [str(arg) for arg in args],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env=env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )
    except FileNotFoundError:
        raise CommandError(f"{name}: not found; install it or put it on PATH") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{name}: no answer within {timeout:.0f} s") from None
    if done.returncode not in accept:
        said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise CommandError(f"{name}: exit {done.returncode}: {said}")
    return done.stdout
