"""Fixtures of all unit tests: no network, no ambient settings, and a small checkout."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fleet import cache
from fleet.cli import main
from tests.support import FILES, Ended, Run, write

# The same examples in every run, so that a run that fails can be repeated; a busy machine is slow.
settings.register_profile("fleet", derandomize=True, deadline=None)
settings.load_profile("fleet")
END_TO_END = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; unit tests come last.

    Several files run at the same time, and a long one should not begin when the others end. A file
    of end-to-end tests says how many minutes it takes, or takes one for each of its clusters.
    """

    def minutes(item: pytest.Item) -> int:
        file = item.getparent(pytest.Module)
        if file is None or not file.path.is_relative_to(END_TO_END):
            return 0
        return int(getattr(file.obj, "MINUTES", len(file.obj.CLUSTERS)))

    items.sort(key=minutes, reverse=True)


@pytest.fixture(autouse=True)
def isolated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.is_relative_to(END_TO_END):
        return
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - any family's
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a unit test uses the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
    # Git copies some files to each new repository, which most tests make and remove.
    monkeypatch.setenv("GIT_TEMPLATE_DIR", "")
    for variable in ("GITHUB_OWNER", "GITHUB_ORGANIZATION", "GITHUB_TOKEN", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path of a cache folder that does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fleet"


@pytest.fixture
def no_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start without the results of earlier builds, so that kustomize runs."""
    monkeypatch.setattr(cache, "build", lambda key: tmp_path / "builds" / key)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small valid checkout with the stacks dev and prod."""
    root = tmp_path / "checkout"
    write(root, FILES)
    return root


@pytest.fixture
def fleet(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a `fleet` command in this process."""

    def run(*args: str | Path) -> Ended:
        try:
            code = main.main([str(arg) for arg in args])
        except SystemExit as end:  # argparse exits itself after --help and wrong usage
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
