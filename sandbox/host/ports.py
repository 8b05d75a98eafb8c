"""Loopback ports of a sandbox, none of which another sandbox of this user has."""

from __future__ import annotations

import json
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from fleet import cache, files
from sandbox.host.lock import locked

# Linux and macOS use higher ports for outgoing connections. So no other program's connection takes
# a port of ours while its process is down.
_RANGE = range(20000, 32000)


@dataclass(frozen=True)
class Ports:
    """The ports of one sandbox by name, in `ports.json` of its state folder.

    A program binds its port some time after it was chosen. Until then, and while the program is
    down, other sandboxes leave it alone: the cache has a list of all state folders.
    """

    state: Path

    def all(self) -> dict[str, int]:
        """Return all ports by name."""
        return _read(self.state)

    def choose(self, name: str) -> int:
        """Return a new free port under this name, in place of an earlier one."""
        registry = cache.directory() / "sandboxes.json"
        with locked(registry.with_suffix(".lock")):
            known = json.loads(registry.read_text()) if registry.exists() else []
            # A sandbox that is removed takes its ports.json with it.
            others = [other for other in known if _file(Path(other)).exists()]
            states = sorted({*others, str(self.state)})
            taken = {port for state in states for port in _read(Path(state)).values()}
            candidates = [port for port in _RANGE if port not in taken]
            random.shuffle(candidates)
            chosen = next(port for port in candidates if is_free(port))
            content = json.dumps(self.all() | {name: chosen}, indent=1, sort_keys=True)
            files.write(_file(self.state), content.encode())
            files.write(registry, json.dumps(states, indent=1).encode())
            return chosen


def is_free(port: int) -> bool:
    """Return whether no open socket has this port."""
    with socket.socket() as trial:
        # Servers set this too: closed connections of the former process may remain for a while,
        # but only an open socket takes the port.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _file(state: Path) -> Path:
    return state / "ports.json"


def _read(state: Path) -> dict[str, int]:
    file = _file(state)
    ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    return ports
