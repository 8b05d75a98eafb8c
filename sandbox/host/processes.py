"""Long-lived programs of the sandbox: started detached, found again later, stopped exactly.

A process is known by its pid and the kernel's start time of that pid, so one that died and whose
pid was given to another program is never mistaken for ours and never signalled. Everything is
kept below the state folder, an absolute path: `processes/<name>.json`, `logs/<name>.log` and
`ports.json`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.process import run
from sandbox.host import files
from sandbox.sandbox_error import SandboxError

# Below what Linux and macOS hand out by themselves, so that no outgoing connection of another
# program takes a port of ours while its process is down.
_PORTS = range(20000, 32000)
_SETTLE = 0.2
# Nothing here loses by SIGKILL what it would have kept, and an API server with a watcher on it
# would take a minute to end politely.
_GRACE = 2.0
_PROC = Path("/proc")

# Children of this very process stay zombies until polled; keeping them here lets us do that.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What is kept of a process.

    `order` says how late it was first started. It survives restarts: one that was recovered is
    still needed by all that was first started after it.
    """

    pid: int
    started: str
    digest: str
    order: int


@dataclass(frozen=True, kw_only=True)
class _Running:
    group: int
    started: str


def is_running(state: Path, name: str) -> bool:
    """Say whether the process of that name that we started is still alive."""
    record = _read(state, name)
    return record is not None and _alive(record)


def ensure(
    state: Path,
    name: str,
    argv: Sequence[str | Path],
    env: Mapping[str, str],
    *,
    files: Sequence[Path] = (),
    cwd: Path | None = None,
) -> bool:
    """Have the program running with exactly this command line; say whether it had to be started.

    `env` is the whole environment. One that runs with another `argv`, `env` or content of `files`
    (certificates, configuration) is stopped first. Secrets belong in files: argv is readable by
    every user of the machine. Raises SandboxError with the log's end when the program dies at once.
    """
    command = [str(arg) for arg in argv]
    digest = _digest(command, env, files)
    record = _read(state, name)
    if record is not None and _alive(record):
        if record.digest == digest:
            return False
        _stop([record], _GRACE)
    log = log_file(state, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd or state,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{name}: cannot start {command[0]}: {error.strerror}") from None
    _children[child.pid] = child
    running = _processes().get(child.pid)
    if running is not None:
        _write(state, name, pid=child.pid, started=running.started, digest=digest)
    settled = time.monotonic() + _SETTLE
    while time.monotonic() < settled and child.poll() is None:
        time.sleep(0.02)
    check(state, [name])
    return True


def check(state: Path, names: Sequence[str]) -> None:
    """Raise SandboxError with the last lines of its log when one of these is not running."""
    for name in names:
        if not is_running(state, name):
            raise SandboxError(f"{name}: died; its log ends: {log_tail(state, name)}")


def wait_until(
    state: Path, names: Sequence[str], ready: Callable[[], bool], *, what: str, seconds: float
) -> None:
    """Wait until `ready()`. Raises SandboxError when a process it needs dies or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        check(state, names)
        if time.monotonic() > deadline:
            logs = ", ".join(str(log_file(state, name)) for name in names)
            raise SandboxError(f"{what}: not within {seconds:.0f} s; see {logs}")
        time.sleep(0.1)


def stop(state: Path, name: str, *, grace: float = _GRACE) -> None:
    """End the process and its group: SIGTERM, and SIGKILL for what is left after `grace` s."""
    record = _read(state, name)
    if record is not None:
        _stop([record], grace)
        _record_file(state, name).unlink(missing_ok=True)


def stop_all(state: Path, *, grace: float = _GRACE) -> list[str]:
    """End every process of this sandbox, latest first, and return the names of those that ran."""
    records = {name: record for name in _names(state) if (record := _read(state, name))}
    ended = []
    for name in sorted(records, key=lambda name: records[name].order, reverse=True):
        if _alive(records[name]):
            ended.append(name)
        stop(state, name, grace=grace)
    return ended


def running(state: Path) -> list[str]:
    """Return the names of all that run, in the order of their first start."""
    records = {name: record for name in _names(state) if (record := _read(state, name))}
    return sorted(
        (name for name, record in records.items() if _alive(record)),
        key=lambda name: records[name].order,
    )


def log_file(state: Path, name: str) -> Path:
    """Return the file that gets all that a process writes; it may not exist yet."""
    return state / "logs" / f"{name}.log"


def log_tail(state: Path, name: str, lines: int = 5) -> str:
    """Return the last lines of a process's log as one line."""
    try:
        with log_file(state, name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return " | ".join(text.strip().splitlines()[-lines:]) or "(empty)"


def port(state: Path, name: str) -> int:
    """Return a loopback port for `<process>` or `<process>/<purpose>`, the same at every call.

    Another one is chosen only when some other program took it while our process was down.
    """
    with _locked(state):
        file = state / "ports.json"
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if name in ports and (is_running(state, name.partition("/")[0]) or _free(ports[name])):
            return ports[name]
        taken = {number for other, number in ports.items() if other != name}
        candidates = [number for number in _PORTS if number not in taken]
        random.shuffle(candidates)
        ports[name] = next(number for number in candidates if _free(number))
        files.write(file, json.dumps(ports, indent=1, sort_keys=True).encode())
        return ports[name]


def _free(number: int) -> bool:
    with socket.socket() as trial:
        # As every server does: connections of the former owner may linger, its socket not.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def _digest(command: list[str], env: Mapping[str, str], files: Sequence[Path]) -> str:
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    whole = json.dumps([command, sorted(env.items()), contents])
    return hashlib.sha256(whole.encode()).hexdigest()


def _alive(record: _Record) -> bool:
    child = _children.get(record.pid)
    if child is not None and child.poll() is not None:
        del _children[record.pid]
    found = _processes(record.pid).get(record.pid)
    return found is not None and found.started == record.started


def _stop(records: Sequence[_Record], grace: float) -> None:
    # Children of ours are found before the first signal: once their leader is gone, its number
    # alone says no longer whose group it is.
    table = _processes()
    members = {
        pid: found
        for record in records
        if record.pid in table and table[record.pid].started == record.started
        for pid, found in table.items()
        if found.group == record.pid
    }
    for signal_number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid in _left(members):
            try:
                os.kill(pid, signal_number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + seconds
        while (left := _left(members)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not left:
            return
    raise SandboxError(f"process {left[0]}: does not end, not even by SIGKILL")


def _left(members: Mapping[int, _Running]) -> list[int]:
    for pid in members:
        child = _children.get(pid)
        if child is not None and child.poll() is not None:
            del _children[pid]
    return [
        pid
        for pid, found in members.items()
        if (now := _processes(pid).get(pid)) is not None and now.started == found.started
    ]


def _processes(pid: int | None = None) -> dict[int, _Running]:
    """Return all processes of the machine, or only the one asked for; zombies do not count."""
    if not _PROC.joinpath("self/stat").exists():
        return _processes_by_ps(pid)
    boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    pids = [pid] if pid else [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    found = {}
    for number in pids:
        try:
            stat = _PROC.joinpath(str(number), "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # proc(5): after the parenthesised name, the state is field 3, the group 5, the threads 20,
        # the start 22. A killed one whose main thread is gone has its ports until the last is.
        fields = stat.rpartition(")")[2].split()
        if fields[0] not in "ZX" or int(fields[17]) > 1:
            found[number] = _Running(group=int(fields[2]), started=f"{boot} {fields[19]}")
    return found


def _processes_by_ps(pid: int | None) -> dict[int, _Running]:
    listing = run(
        ["ps", "-A", "-o", "pid=,pgid=,stat=,lstart="],
        timeout=20,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    found = {}
    for line in listing.splitlines():
        number, group, status, started = line.split(maxsplit=3)
        if not status.startswith("Z") and pid in (None, int(number)):
            found[int(number)] = _Running(group=int(group), started=started.strip())
    return found


def _record_file(state: Path, name: str) -> Path:
    return state / "processes" / f"{name}.json"


def _names(state: Path) -> list[str]:
    return [file.stem for file in (state / "processes").glob("*.json")]


def _read(state: Path, name: str) -> _Record | None:
    try:
        return _Record(**json.loads(_record_file(state, name).read_text()))
    except FileNotFoundError:
        return None


def _write(state: Path, name: str, *, pid: int, started: str, digest: str) -> None:
    with _locked(state):
        former = _read(state, name)
        others = [record.order for other in _names(state) if (record := _read(state, other))]
        order = former.order if former else 1 + max(others, default=0)
        record = _Record(pid=pid, started=started, digest=digest, order=order)
        file = _record_file(state, name)
        file.parent.mkdir(exist_ok=True)
        files.write(file, json.dumps(asdict(record)).encode())


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
