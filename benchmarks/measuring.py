"""The time and memory of programs, with a cache folder that is empty at first."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet import cache

CHECKOUT = Path(__file__).parents[1]
# Programs and downloads, which are no results of earlier runs.
_KEPT = ("flux", "json-schemas", "charts")
REPEATS = 3
# A command is not repeated once its runs took longer together, in seconds.
_LONG = 10.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The seconds that a command took, those of processors, and its largest process in MiB."""

    seconds: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.cpu:.2f} s CPU), {self.memory:.0f} MiB"


@contextmanager
def empty_cache(*programs_left_out: str) -> Iterator[Mapping[str, str]]:
    """Yield an environment whose cache folder has no results, and not all programs."""
    with tempfile.TemporaryDirectory(prefix="fleet-benchmark-cache-") as folder:
        own = Path(folder) / "fleet"
        (own / "bin").mkdir(parents=True)
        names = [f"bin/{program.name}" for program in cache.programs().iterdir()]
        for name in (*_KEPT, *names):
            found = cache.directory() / name
            if found.exists() and found.name not in programs_left_out:
                (own / name).symlink_to(found.resolve())
        yield {**os.environ, "XDG_CACHE_HOME": folder}


def run(command: Sequence[str | Path], env: Mapping[str, str], out: Path | None = None) -> Cost:
    """Run a command to its end and return its cost. Its standard output goes to a file."""
    words = [str(word) for word in command]
    with (out or Path(os.devnull)).open("wb") as target:
        started = time.perf_counter()
        child = subprocess.Popen(
            words, cwd=CHECKOUT, env=env, stdout=target, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: exit {child.returncode}; run it by hand")
    # Linux reports KiB, and macOS reports bytes.
    memory = usage.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)
    return Cost(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, memory=memory)


def fleet(*words: str | Path) -> list[str | Path]:
    """Return the command that runs fleet."""
    return [sys.executable, "-m", "fleet", *words]


def best(measure: Callable[[], Cost]) -> Cost:
    """Return the fastest of some runs, of one if that is long."""
    costs: list[Cost] = []
    while len(costs) < REPEATS and sum(cost.seconds for cost in costs) < _LONG:
        costs.append(measure())
    return min(costs, key=lambda cost: cost.seconds)
