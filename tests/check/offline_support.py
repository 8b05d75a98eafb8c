"""A network namespace of its own for a program, in which the kernel counts what it sends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_NEW_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
# No interface of the namespace is up, so nothing but the command can change these counters.
_COUNT = """
import subprocess, sys
done = subprocess.run(sys.argv[1:], check=False)
rows = [line.split() for line in open("/proc/net/snmp")]
counters = {}
for names, values in zip(rows[::2], rows[1::2]):
    counters.update({names[0] + name: int(value) for name, value in zip(names[1:], values[1:])})
print("sent", sum(counters[name] for name in ("Ip:OutRequests", "Ip:OutNoRoutes")), file=sys.stderr)
"""


class Counted(NamedTuple):
    """The output of a program, and the number of packets that it tried to send."""

    out: str
    sent: int


def is_allowed() -> bool:
    """Tell whether this kernel allows a network namespace of one's own."""
    try:
        done = subprocess.run([*_NEW_NETWORK, "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def run(folder: Path, *command: str | Path) -> Counted:
    """Run a program without a network, and count what it and its children try to send."""
    args = [*_NEW_NETWORK, sys.executable, "-c", _COUNT, *map(str, command)]
    done = subprocess.run(args, check=False, capture_output=True, text=True, cwd=folder)
    return Counted(done.stdout, int(done.stderr.rpartition("sent ")[2]))
