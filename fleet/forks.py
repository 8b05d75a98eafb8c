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
_Work = Callable[[_Share, Exchange], _Result]
# A process is forked safely on Linux only.
MOST = (os.cpu_count() or 1) if sys.platform == "linux" else 1


def results(shares: Sequence[_Share], work: _Work[_Share, _Result]) -> list[_Result]:
    """Return the result of the work on each share; the first one is done in this process.

    The others are forked, so each has all that this one has, but for its threads: none may run.
    They exchange values that can be pickled. Raises FleetError, also if another process does.
    """
    others: list[_Fork] = []

    def exchange(own: object) -> list[object]:
        found = [own, *(other.received() for other in others)]
        for other in others:
            other.pipe.send(found)
        return found

    try:
        others += (_Fork.of(work, share) for share in shares[1:])
        own = work(shares[0], exchange)
        return [own, *(other.received() for other in others)]
    finally:
        for other in others:
            other.process.terminate()
            other.process.join()


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
            found = self.pipe.recv()
        except EOFError:
            raise FleetError("a process of fleet was ended from outside; run it again") from None
        if isinstance(found, _Failure):
            raise FleetError(found.text)
        return found


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """The text of an error of another process."""

    text: str


def _run(work: _Work[_Share, object], share: _Share, near: Connection, pipe: Connection) -> None:
    """Work on a share in a forked process, and send the result or the error."""
    # The other process alone has this end, so that its end is seen here.
    near.close()

    def exchange(own: object) -> list[object]:
        pipe.send(own)
        found: list[object] = pipe.recv()
        return found

    try:
        try:
            pipe.send(work(share, exchange))
        except FleetError as error:
            pipe.send(_Failure(text=str(error)))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        # The first process has ended, or ends and says why.
        return
