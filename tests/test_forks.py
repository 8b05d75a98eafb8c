"""Test work in several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from fleet import forks
from fleet.errors import ConfigError, FleetError
from fleet.forks import Exchange


def test_each_share_has_a_process() -> None:
    """The results come in the order of the shares, and the first one is of this process."""
    found = forks.results(["a", "b", "c"], lambda share, _: (share.upper(), os.getpid()))
    assert [name for name, _ in found] == ["A", "B", "C"]
    assert len({pid for _, pid in found}) == 3
    assert found[0][1] == os.getpid()


def test_one_share_needs_no_other_process() -> None:
    assert forks.results([4], lambda share, exchange: exchange(share)) == [[4]]


def test_all_get_what_all_have_given() -> None:
    def work(share: int, exchange: Exchange) -> int:
        return sum(exchange(share)) + share

    assert forks.results([1, 20, 300], work) == [322, 341, 621]


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_error_of_one_is_that_of_all(failing: int, is_late: bool) -> None:
    """It does not matter whether the others wait for it."""

    def work(share: int, exchange: Exchange) -> int:
        if is_late:
            exchange(share)
        if share == failing:
            raise ConfigError(["a: is wrong", "b: is wrong"])
        exchange(share)
        return share

    with pytest.raises(FleetError) as caught:
        forks.results([0, 1, 2], work)
    assert str(caught.value) == "a: is wrong\nb: is wrong"


def test_a_process_that_is_killed_is_an_error() -> None:
    def work(share: int, exchange: Exchange) -> None:
        if share:
            os.kill(os.getpid(), signal.SIGKILL)
        exchange(share)

    with pytest.raises(FleetError, match="ended before its work was done"):
        forks.results([0, 1], work)


class _KillsItsSender:
    """The process that gives it to another one is killed when the other one gets it."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[int, int]]:
        return os.kill, (os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_while_it_waits_is_an_error() -> None:
    """Nobody reads what it would get, which is more than fits into a pipe."""

    def work(share: int, exchange: Exchange) -> None:
        exchange(_KillsItsSender() if share else "a" * 2**22)
        exchange(share)

    with pytest.raises(FleetError, match="ended before its work was done"):
        forks.results([0, 1], work)


def test_another_error_of_a_process_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """It is a defect of fleet, so its traceback is shown."""

    def work(share: int, exchange: Exchange) -> int:
        return 1 // (1 - share)

    with pytest.raises(FleetError, match="ended before its work was done; look above"):
        forks.results([0, 1], work)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_no_process_is_left_after_an_error() -> None:
    """An error of this process ends the others, which wait for it."""
    pids: list[int] = []

    def work(share: int, exchange: Exchange) -> None:
        pids.extend(exchange(os.getpid()))
        if not share:
            raise FleetError("wrong")
        exchange(share)

    with pytest.raises(FleetError, match="wrong"):
        forks.results([0, 1, 2], work)
    assert len(pids) == 3
    for pid in pids[1:]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
