"""The processes of this machine, with their groups and start times.

A process is identified by its pid and the kernel's start time of that pid. A pid that the kernel
has given to another program since is therefore never mistaken for ours and never signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet.process import run
from sandbox.sandbox_error import SandboxError

_PROC = Path("/proc")

# A child of this Python process stays a zombie until somebody polls it, so we keep it here.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process that runs: its process group and its start time."""

    group: int
    started: str


def add_child(child: subprocess.Popen[bytes]) -> None:
    """Remember a child of this Python process, so that it does not stay a zombie."""
    _children[child.pid] = child


def is_alive(pid: int, started: str) -> bool:
    """Return whether the process with this pid and start time still runs."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        _children.pop(pid, None)
    found = read(pid).get(pid)
    return found is not None and found.started == started


def end(pid: int, started: str, grace: float) -> None:
    """End a process and its group: SIGTERM, then SIGKILL for those alive after `grace` seconds."""
    # The members are found before the first signal: when the leader is gone, the kernel may give
    # its number to another group.
    table = read()
    if pid not in table or table[pid].started != started:
        return
    members = {member: found for member, found in table.items() if found.group == pid}
    for signal_number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for member in _alive(members):
            try:
                os.kill(member, signal_number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + seconds
        while (alive := _alive(members)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not alive:
            return
    raise SandboxError(f"process {alive[0]}: still runs after SIGKILL; try again later")


def read(pid: int | None = None) -> dict[int, Process]:
    """Return all processes of the machine by pid, or only the given one; zombies do not count."""
    if not _PROC.joinpath("self/stat").exists():
        return _read_by_ps(pid)
    boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    pids = [pid] if pid else [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    found = {}
    for number in pids:
        try:
            stat = _PROC.joinpath(str(number), "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # See proc(5). After the name in parentheses, field 3 is the state, 5 the group, 20 the
        # number of threads and 22 the start time. A process whose main thread was killed keeps
        # its ports until its last thread has ended, so it still counts.
        fields = stat.rpartition(")")[2].split()
        if fields[0] not in "ZX" or int(fields[17]) > 1:
            found[number] = Process(group=int(fields[2]), started=f"{boot} {fields[19]}")
    return found


def _read_by_ps(pid: int | None) -> dict[int, Process]:
    listing = run(
        ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="],
        timeout=20,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    found = {}
    for line in listing.splitlines():
        number, group, status, started = line.split(maxsplit=3)
        if not status.startswith("Z") and pid in (None, int(number)):
            found[int(number)] = Process(group=int(group), started=started.strip())
    return found


def _alive(members: Mapping[int, Process]) -> list[int]:
    return [pid for pid, found in members.items() if is_alive(pid, found.started)]
