"""The same work on several shares of many things, in a process for each share.

Python computes on one processor, whatever the number of its threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fleet.errors import FleetError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_Share = TypeVar("_Share")
_Result = TypeVar("_Result")
# It gives something to all processes, and returns what all have given, in the order of the shares.
Exchange = Callable[[Any], list[Any]]
_ENDED = "a process of fleet ended before its work was done; look above, or run the command again"
_Work = Callable[[_Share, Exchange], _Result]
# A process is forked safely on Linux only. Each one runs other programs, which need memory.
MOST = min(8, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def results(shares: Sequence[_Share], work: _Work[_Share, _Result]) -> list[_Result]:
    """Return the result of the work on each share; the first one is done in this process.

    The others are forked, so each has all that this one has, but for its threads: none may run.
    They exchange values that can be pickled. Raises FleetError, also if another process does.
    """
    others: list[_Fork] = []

    def exchange(own: object) -> list[object]:
        found = [own, *(other.received() for other in others)]
        for other in others:
            other.send(found)
        return found

    try:
        others += (_Fork.of(work, share) for share in shares[1:])
        own = work(shares[0], exchange)
        return [own, *(other.received() for other in others)]
    finally:
        for other in others:
            other.end()


@dataclass(frozen=True, kw_only=True)
class _Fork:
    """Another process, and the pipe to it."""

    process: BaseProcess
    pipe: Connection

    @classmethod
    def of(cls, work: _Work[_Share, _Result], share: _Share) -> _Fork:
        # Most runs have one share, and begin sooner without this module.
        import multiprocessing

        context = multiprocessing.get_context("fork")
        near, far = context.Pipe()
        process = context.Process(target=_run, args=(work, share, near, far), daemon=True)
        process.start()
        far.close()
        return cls(process=process, pipe=near)

    def received(self) -> Any:  # noqa: ANN401 - whatever the other process has sent
        try:
            found = _received(self.pipe)
        except _EndedError:
            raise FleetError(_ENDED) from None
        if isinstance(found, _Failure):
            raise FleetError(found.text)
        return found

    def send(self, value: object) -> None:
        try:
            _send(self.pipe, value)
        except _EndedError:
            raise FleetError(_ENDED) from None

    def end(self) -> None:
        # A process that waits for this one ends if the pipe does, and any other by the signal.
        self.pipe.close()
        self.process.terminate()
        self.process.join()


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """The text of an error of another process."""

    text: str


class _EndedError(Exception):
    """The process at the other end of a pipe has ended."""


def _received(pipe: Connection) -> Any:  # noqa: ANN401 - whatever the other process has sent
    try:
        return pipe.recv()
    except (EOFError, OSError):
        raise _EndedError from None


def _send(pipe: Connection, value: object) -> None:
    try:
        pipe.send(value)
    except OSError:
        raise _EndedError from None


def _run(work: _Work[_Share, object], share: _Share, near: Connection, pipe: Connection) -> None:
    """Work on a share in a forked process, and send the result or the error."""
    # The other process alone has this end, so that its end is seen here.
    near.close()

    def exchange(own: object) -> list[object]:
        _send(pipe, own)
        found: list[object] = _received(pipe)
        return found

    try:
        try:
            _send(pipe, work(share, exchange))
        except FleetError as error:
            _send(pipe, _Failure(text=str(error)))
    except (_EndedError, KeyboardInterrupt):
        # The first process has ended, or ends and says why.
        return
