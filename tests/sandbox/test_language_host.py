"""Test the thin language host without an engine; the end-to-end tests run it with the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from sandbox.host import process_table
from sandbox.pulumi import language_host
from tests.support import REPOSITORY

ENGINE = "127.0.0.1:1"
# A parent that starts the host, prints its process id and port, and waits to be killed.
PARENT = """
import subprocess, sys
host = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(host.pid, host.stdout.readline().strip(), flush=True)
host.wait()
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A parent process, and the process id and the port of its language host."""
    program = tmp_path / "bin" / language_host.PROGRAM
    language_host.install(program)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, program, "-root=/ignored", ENGINE],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert parent.stdout is not None
    pid, port = (int(word) for word in parent.stdout.readline().split())
    yield parent, pid, port
    parent.kill()
    parent.wait()
    parent.stdout.close()


def stub(port: int) -> language_pb2_grpc.LanguageRuntimeStub:
    """Return a client of the host, as the engine is one."""
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    return language_pb2_grpc.LanguageRuntimeStub(channel)


def test_it_serves_on_loopback(host: tuple[subprocess.Popen[str], int, int]) -> None:
    client = stub(host[2])
    client.Handshake(language_pb2.LanguageHandshakeRequest(engine_address=ENGINE), timeout=30)
    about = client.About(language_pb2.AboutRequest(), timeout=30)
    assert about.executable == sys.executable


def test_ctrl_c_is_left_to_the_engine(host: tuple[subprocess.Popen[str], int, int]) -> None:
    _, pid, port = host
    os.kill(pid, signal.SIGINT)
    stub(port).Handshake(language_pb2.LanguageHandshakeRequest(), timeout=30)


def test_it_ends_with_the_engine(host: tuple[subprocess.Popen[str], int, int]) -> None:
    parent, pid, _ = host
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while pid in process_table.read(pid):
        assert time.monotonic() < deadline, "the host outlives its engine"
        time.sleep(0.05)


def test_a_program_that_fails_is_reported_once() -> None:
    """The SDK logs the error; the response only says that it has been logged."""
    response = language_pb2.RunResponse(error="one line")
    assert language_host.reported(response) == language_pb2.RunResponse(bail=True)
    assert language_host.reported(language_pb2.RunResponse()) == language_pb2.RunResponse()
