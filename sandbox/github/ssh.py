"""Git over SSH: a deploy key logs in as `git` and gives access to its one repository."""

from __future__ import annotations

import asyncio
import base64
import re
import shlex
import sys
import threading
import time
from asyncio import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import asyncssh

from sandbox.github.repository_keys import DeployKeys
from sandbox.internet import smart_http
from sandbox.sandbox_error import SandboxError

USER = "git"
_PIECE = 1 << 16
_PROTOCOL = re.compile(r"version=[0-2]")


@contextmanager
def serving(port: int, *, host_key: Path, keys: DeployKeys) -> Iterator[str]:
    """Serve on 127.0.0.1 in a thread of its own, and yield the URL. Port 0 takes a free one.

    `host_key` is a PEM file. Raises SandboxError when it holds no private key, and OSError when
    the port is taken.
    """
    try:
        identity = asyncssh.read_private_key(host_key)
    except asyncssh.KeyImportError as error:
        raise SandboxError(
            f"{host_key}: holds no private key ({error}); remove it and run `make sandbox`"
        ) from None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        listening = asyncio.run_coroutine_threadsafe(_listen(port, identity, keys), loop)
        acceptor = listening.result()
        yield f"ssh://{USER}@127.0.0.1:{acceptor.get_port()}"
        asyncio.run_coroutine_threadsafe(_stop(acceptor), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(port: int, identity: asyncssh.SSHKey, keys: DeployKeys) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: _Connection(keys),
        server_host_keys=[identity],
        encoding=None,
        password_auth=False,
        kbdint_auth=False,
        allow_pty=False,
        agent_forwarding=False,
    )


async def _stop(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _RefusedError(SandboxError):
    """A command that is refused; the text is for the client."""


class _Connection(asyncssh.SSHServer):
    """One connection. asyncssh refuses all forwarding, because nothing here allows it."""

    def __init__(self, keys: DeployKeys) -> None:
        self._keys = keys
        self._key = ""

    def begin_auth(self, username: str) -> bool:
        """Require a key of every user."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer public keys, the only method."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Return True for a deploy key. asyncssh checks that the client holds the private key."""
        # A client may offer several keys. asyncssh calls this again for the key with a valid
        # signature, so the last key is the one that logged in.
        self._key = f"{key.get_algorithm()} {base64.b64encode(key.public_data).decode()}"
        return username == USER and self._keys.find(self._key) is not None

    def session_requested(self) -> asyncssh.SSHServerSessionFactory:
        """Return the function that answers a session's command."""
        return self._answer

    async def _answer(
        self,
        stdin: asyncssh.SSHReader[bytes],
        stdout: asyncssh.SSHWriter[bytes],
        stderr: asyncssh.SSHWriter[bytes],
    ) -> None:
        started = time.monotonic()
        channel = cast("asyncssh.SSHServerChannel[bytes]", stdout.channel)
        command, status, message = channel.get_command() or "", 1, ""
        try:
            service, directory = self._service_and_directory(command)
            variables = _git_variables(channel.get_environment())
            streams = _Streams(stdin, stdout, stderr)
            status = await _run_git(service, directory, variables, streams)
        except _RefusedError as refusal:
            message = f"ERROR: {refusal}\n"
        finally:
            # The log line comes first, so that a client that has the answer finds it.
            took = (time.monotonic() - started) * 1000
            sys.stdout.write(f"SSH {ascii(command)[1:-1] or '-'} {status} {took:.0f}\n")
            sys.stdout.flush()
        if not channel.is_closing():
            stderr.write(message.encode())
            channel.exit(status)

    def _service_and_directory(self, command: str) -> tuple[str, Path]:
        """Return the service of Git and the bare repository that a command may use."""
        service, path = _service_and_path(command)
        # The key may have been deleted after the connection was opened, so it is looked up again.
        found = self._keys.find(self._key)
        if found is None or path != found[0].full_name:
            raise _RefusedError("Repository not found.")
        repository, key = found
        if service == "git-receive-pack":
            if key.read_only:
                raise _RefusedError(
                    "The key you are authenticating with has been marked as read only."
                )
            if repository.settings()["archived"]:
                raise _RefusedError("This repository was archived so it is read-only.")
        return service, repository.directory


def _service_and_path(command: str) -> tuple[str, str]:
    """Return the service of Git and the OWNER/NAME in a command."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if len(words) != 2 or words[0] not in smart_http.SERVICES:
        raise _RefusedError("This is no shell; use `git clone`, `git fetch` or `git push`.")
    return words[0], words[1].removeprefix("/").removesuffix(".git")


def _git_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the only variable that Git gets from a client: the version of its protocol."""
    protocol = environment.get("GIT_PROTOCOL", "")
    return {"GIT_PROTOCOL": protocol} if _PROTOCOL.fullmatch(protocol) else {}


class _Source(Protocol):
    async def read(self, n: int, /) -> bytes: ...


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...
    async def drain(self) -> None: ...


@dataclass(frozen=True)
class _Streams:
    stdin: _Source
    stdout: _Sink
    stderr: _Sink


async def _run_git(
    service: str, directory: Path, variables: Mapping[str, str], client: _Streams
) -> int:
    """Run a service of Git, connected to the client's streams; return its exit status."""
    git = await asyncio.create_subprocess_exec(
        "git",
        service.removeprefix("git-"),
        directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=smart_http.environment(variables),
    )
    assert git.stdin and git.stdout and git.stderr  # noqa: S101 - for mypy
    input_task = asyncio.create_task(_send_input(client.stdin, git.stdin))
    try:
        await asyncio.gather(
            _send_output(git, git.stdout, client.stdout),
            _send_output(git, git.stderr, client.stderr),
        )
    finally:
        input_task.cancel()
    return await git.wait()


async def _send_input(source: _Source, git: asyncio.StreamWriter) -> None:
    # Git may end before its input does, and the client may leave at any time; neither is an error.
    with suppress(OSError, asyncssh.Error):
        await _copy(source, git)
    git.close()


async def _send_output(git: subprocess.Process, output: asyncio.StreamReader, sink: _Sink) -> None:
    try:
        await _copy(output, sink)
    except (OSError, asyncssh.Error):
        # The client has left. asyncio reports the end of Git only after all its output is read.
        with suppress(ProcessLookupError):
            git.kill()
        while await output.read(_PIECE):
            pass


async def _copy(source: _Source, sink: _Sink) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
