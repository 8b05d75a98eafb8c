"""Long-running programs of a sandbox: started in the background, found again, and stopped."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet import files
from sandbox.host import process_table
from sandbox.host.lock import locked
from sandbox.host.ports import Ports, is_free
from sandbox.sandbox_error import SandboxError

# The environment of a program that must not depend on the caller's variables. An API server takes a
# fifth less CPU time when Go collects its garbage less often, and 400 MiB more memory.
CLEAN_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "GOGC": "200"}

_SETTLE_SECONDS = 0.2
# No program here loses data by SIGKILL, and an API server with an open watch needs a minute to end
# by SIGTERM.
_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """A program with its arguments and its whole environment.

    Secrets belong in `files`, because every user of the machine can read a command line.
    `folder` is the working folder; without one it is the sandbox's state folder.
    """

    argv: Sequence[str | Path]
    env: Mapping[str, str]
    files: Sequence[Path] = ()
    folder: Path | None = None

    def digest(self) -> str:
        """Return a hash of the arguments, the environment and the content of the files."""
        contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files]
        argv = [str(arg) for arg in self.argv]
        whole = json.dumps([argv, sorted(self.env.items()), contents])
        return hashlib.sha256(whole.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Record:
    """The record of a process in the state folder.

    `order` is the place of its first start among all starts. A restart keeps it, because programs
    that were first started later may depend on this one.
    """

    pid: int
    started: str
    digest: str
    order: int

    def is_alive(self) -> bool:
        return process_table.is_alive(self.pid, self.started)


@dataclass(frozen=True)
class Processes:
    """The processes of one sandbox.

    The state folder, an absolute path, keeps all that is known of them: `processes/<name>.json`,
    `logs/<name>.log` and `ports.json`.
    """

    state: Path

    def ensure(self, name: str, command: Command) -> bool:
        """Keep exactly this command running; return whether it had to be started.

        A process of this name with another command is stopped first. Raises SandboxError with the
        end of the log when the program dies at once.
        """
        digest = command.digest()
        record = self._record(name)
        if record is not None and record.is_alive():
            if record.digest == digest:
                return False
            process_table.end(record.pid, record.started, _GRACE_SECONDS)
        child = self._start(name, command)
        process_table.add_child(child)
        started = process_table.start_time(child.pid)
        if started is not None:
            self._save(name, pid=child.pid, started=started, digest=digest)
        settled = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < settled and child.poll() is None:
            time.sleep(0.02)
        self.check([name])
        return True

    def is_running(self, name: str) -> bool:
        """Return whether the process of this name that we started is still alive."""
        record = self._record(name)
        return record is not None and record.is_alive()

    def running(self) -> list[str]:
        """Return the names of all processes that run, in the order of their first start."""
        return [name for name, record in self._records().items() if record.is_alive()]

    def pid(self, name: str) -> int:
        """Return the pid of a process that was started. Raises SandboxError for another name."""
        record = self._record(name)
        if record is None:
            raise SandboxError(f"{name}: is no process of {self.state}; start it first")
        return record.pid

    def check(self, names: Sequence[str]) -> None:
        """Raise SandboxError with the last lines of the log if one of these does not run."""
        for name in names:
            if not self.is_running(name):
                raise SandboxError(f"{name}: died; its log ends: {self.log_tail(name)}")

    def check_all(self) -> None:
        """Raise SandboxError if a process has ended that was started and not stopped."""
        self.check(list(self._records()))

    def wait_until(
        self, names: Sequence[str], ready: Callable[[], bool], *, what: str, seconds: float
    ) -> None:
        """Wait for `ready()`. Raises SandboxError when one of `names` dies or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check(names)
            if time.monotonic() > deadline:
                logs = ", ".join(str(self.log_file(name)) for name in names)
                raise SandboxError(f"{what}: not ready within {seconds:.0f} s; see {logs}")
            time.sleep(0.1)

    def stop(self, name: str, *, grace: float = _GRACE_SECONDS) -> None:
        """End a process and its group: SIGTERM, then SIGKILL after `grace` seconds."""
        record = self._record(name)
        if record is not None:
            process_table.end(record.pid, record.started, grace)
            self._record_file(name).unlink(missing_ok=True)

    def stop_all(self, *, grace: float = _GRACE_SECONDS) -> list[str]:
        """End every process, the last started first; return the names of those that ran."""
        stopped = []
        for name, record in reversed(self._records().items()):
            if record.is_alive():
                stopped.append(name)
            self.stop(name, grace=grace)
        return stopped

    def log_file(self, name: str) -> Path:
        """Return the file with all output of a process; it may not exist yet."""
        return self.state / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = 5) -> str:
        """Return the last lines of a process's log, joined to one line."""
        try:
            with self.log_file(name).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return " | ".join(text.strip().splitlines()[-lines:]) or "(empty)"

    def port(self, name: str) -> int:
        """Return a loopback port for `<process>` or `<process>/<purpose>`, always the same one.

        It changes only when another program took the port while our process was down.
        """
        with self._locked():
            port = self.ports().get(name)
            runs = self.is_running(name.partition("/")[0])
            if port is not None and (runs or is_free(port)):
                return port
            return Ports(self.state).choose(name)

    def ports(self) -> dict[str, int]:
        """Return all ports of the sandbox by name."""
        return Ports(self.state).all()

    def _start(self, name: str, command: Command) -> subprocess.Popen[bytes]:
        argv = [str(arg) for arg in command.argv]
        log = self.log_file(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            try:
                return subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(command.env),
                    cwd=command.folder or self.state,
                    start_new_session=True,
                )
            except OSError as error:
                raise SandboxError(f"{name}: cannot start {argv[0]}: {error.strerror}") from None

    def _record_file(self, name: str) -> Path:
        return self.state / "processes" / f"{name}.json"

    def _record(self, name: str) -> _Record | None:
        try:
            return _Record(**json.loads(self._record_file(name).read_text()))
        except FileNotFoundError:
            return None

    def _records(self) -> dict[str, _Record]:
        """Return all records by name, in the order of their first start."""
        names = [file.stem for file in (self.state / "processes").glob("*.json")]
        records = {name: record for name in names if (record := self._record(name))}
        return dict(sorted(records.items(), key=lambda item: item[1].order))

    def _save(self, name: str, *, pid: int, started: str, digest: str) -> None:
        with self._locked():
            records = self._records()
            last = max((record.order for record in records.values()), default=0)
            order = records[name].order if name in records else last + 1
            record = _Record(pid=pid, started=started, digest=digest, order=order)
            files.write(self._record_file(name), json.dumps(asdict(record)).encode())

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.state / "lock")
