"""Secrets that several runs ask for at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sandbox.github.tokens import EVERYTHING, TokenFiles
from sandbox.host.secret_files import secret_file

CALLERS = 6


def test_all_that_ask_at_the_same_time_get_the_same_secret(tmp_path: Path) -> None:
    tokens = TokenFiles(tmp_path / "fine-grained")
    barrier = Barrier(CALLERS)

    def ask(file: Path) -> tuple[str, str]:
        barrier.wait()
        return secret_file(file).read_text(), tokens.token(f"acme/{file.name}", EVERYTHING)

    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(20):
            file = tmp_path / "tokens" / str(number)
            ((secret, token),) = set(pool.map(ask, [file] * CALLERS))
            assert secret == file.read_text()
            assert tokens.grant(token) is not None
            assert file.stat().st_mode & 0o777 == 0o600
