"""The start and the end of processes of this machine, with their groups.

A process is identified by its pid and the kernel's start time of that pid. A pid that the kernel
has given to another program since is therefore never mistaken for ours and never signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from sandbox.sandbox_error import SandboxError

_PROC = Path("/proc")

# A child of this Python process stays a zombie until somebody polls it, so we keep it here.
_children: dict[int, subprocess.Popen[bytes]] = {}


def add_child(child: subprocess.Popen[bytes]) -> None:
    """Remember a child of this Python process, so that it does not stay a zombie."""
    _children[child.pid] = child


def start_time(pid: int) -> str | None:
    """Return the start time of a process that runs, or None if there is none; a zombie is none."""
    try:
        process = psutil.Process(pid)
        if not _runs(process):
            return None
        if not _PROC.joinpath("self/stat").exists():
            return str(process.create_time())
        # The time that psutil returns moves when the machine's clock is set; Linux's own count
        # does not. It is field 22 in proc(5), and the name in parentheses is field 2.
        boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
        stat = _PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None
    return f"{boot} {stat.rpartition(')')[2].split()[19]}"


def is_alive(pid: int, started: str) -> bool:
    """Return whether the process with this pid and start time still runs."""
    return start_time(pid) == started


def end(pid: int, started: str, grace: float) -> None:
    """End a process and its group: SIGTERM, then SIGKILL for those alive after `grace` seconds."""
    if not is_alive(pid, started):
        return
    # The members are found before the first signal: when the leader is gone, the kernel may give
    # its number to another group. psutil signals no process that has the pid of a former one.
    members = _members(pid)
    for signal_number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal_number)
        deadline = time.monotonic() + seconds
        while (members := [m for m in members if _runs(m)]) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not members:
            return
    raise SandboxError(f"process {members[0].pid}: still runs after SIGKILL; try again later")


def _runs(process: psutil.Process) -> bool:
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        _children.pop(process.pid, None)
    try:
        # A process whose main thread was killed keeps its ports until its last thread has ended,
        # so it still counts.
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return process.is_running() and (not ended or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def _members(group: int) -> list[psutil.Process]:
    found = []
    for pid in psutil.pids():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(pid) == group:
                found.append(psutil.Process(pid))
    return found
