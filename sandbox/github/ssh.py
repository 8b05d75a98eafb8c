"""Git over SSH: the user `git`, a deploy key, the one repository that it opens, nothing else."""

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
    """Serve on 127.0.0.1 in a thread of its own, and give the URL; port 0 takes a free one.

    `host_key` is a PEM file. Raises SandboxError when it holds no key, OSError when the port is
    taken.
    """
    try:
        identity = asyncssh.read_private_key(host_key)
    except asyncssh.KeyImportError as error:
        raise SandboxError(f"{host_key}: holds no private key: {error}") from None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        listening = asyncio.run_coroutine_threadsafe(_listen(port, identity, keys), loop)
        acceptor = listening.result()
        yield f"ssh://{USER}@127.0.0.1:{acceptor.get_port()}"
        asyncio.run_coroutine_threadsafe(_end(acceptor), loop).result()
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


async def _end(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _RefusedError(SandboxError):
    """What is asked for is not given; its text is for the one who asked."""


class _Connection(asyncssh.SSHServer):
    """One connection. asyncssh refuses by itself what is not allowed here: any forwarding."""

    def __init__(self, keys: DeployKeys) -> None:
        self._keys = keys
        self._key = ""

    def begin_auth(self, username: str) -> bool:
        """Ask everybody for a key."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer the one way in."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether a key is a deploy key; that the client has it, asyncssh finds out."""
        # Asked again with the client's signature: the last key is the one that was proved.
        self._key = f"{key.get_algorithm()} {base64.b64encode(key.public_data).decode()}"
        return username == USER and self._keys.find(self._key) is not None

    def session_requested(self) -> asyncssh.SSHServerSessionFactory:
        """Answer the command of every session."""
        return self._answer

    async def _answer(
        self,
        stdin: asyncssh.SSHReader[bytes],
        stdout: asyncssh.SSHWriter[bytes],
        stderr: asyncssh.SSHWriter[bytes],
    ) -> None:
        started = time.monotonic()
        channel = cast("asyncssh.SSHServerChannel[bytes]", stdout.channel)
        command, status, refused = channel.get_command() or "", 1, ""
        try:
            service, directory = self._allowed(command)
            variables = _variables(channel.get_environment())
            status = await _run_git(service, directory, variables, stdin, stdout, stderr)
        except _RefusedError as refusal:
            refused = f"ERROR: {refusal}\n"
        finally:
            # Written first: who has the answer must find it there.
            took = (time.monotonic() - started) * 1000
            sys.stdout.write(f"SSH {ascii(command)[1:-1] or '-'} {status} {took:.0f}\n")
            sys.stdout.flush()
        if not channel.is_closing():
            stderr.write(refused.encode())
            channel.exit(status)

    def _allowed(self, command: str) -> tuple[str, Path]:
        """Return which service of Git is to be run on which bare repository."""
        service, path = _requested(command)
        # Looked up anew: since the connection was opened the key may have been revoked.
        found = self._keys.find(self._key)
        if found is None or path != f"{found[0].owner}/{found[0].name}":
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


def _requested(command: str) -> tuple[str, str]:
    """Return the service of Git and the OWNER/NAME that a command asks for."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if len(words) != 2 or words[0] not in smart_http.SERVICES:
        raise _RefusedError("Only Git is served here, and no shell.")
    return words[0], words[1].removeprefix("/").removesuffix(".git")


def _variables(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what of a client's environment reaches Git: the version of its protocol."""
    protocol = asked.get("GIT_PROTOCOL", "")
    return {"GIT_PROTOCOL": protocol} if _PROTOCOL.fullmatch(protocol) else {}


class _Source(Protocol):
    async def read(self, n: int, /) -> bytes: ...


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...
    async def drain(self) -> None: ...


async def _run_git(
    service: str,
    directory: Path,
    variables: Mapping[str, str],
    stdin: _Source,
    stdout: _Sink,
    stderr: _Sink,
) -> int:
    """Run a service of Git between the client's streams; return its exit status."""
    git = await asyncio.create_subprocess_exec(
        "git",
        service.removeprefix("git-"),
        directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=smart_http.environment(variables),
    )
    assert git.stdin and git.stdout and git.stderr  # noqa: S101 - they are pipes
    feeding = asyncio.create_task(_feed(stdin, git.stdin))
    try:
        await asyncio.gather(
            _pass_on(git, git.stdout, stdout),
            _pass_on(git, git.stderr, stderr),
        )
    finally:
        feeding.cancel()
    return await git.wait()


async def _feed(source: _Source, git: asyncio.StreamWriter) -> None:
    # Either may be the first to leave: Git has its answer, or its client is gone.
    with suppress(OSError, asyncssh.Error):
        await _copy(source, git)
    git.close()


async def _pass_on(git: subprocess.Process, output: asyncio.StreamReader, sink: _Sink) -> None:
    try:
        await _copy(output, sink)
    except (OSError, asyncssh.Error):
        # The client has left. Git's end is only noticed when its output is read to the end.
        with suppress(ProcessLookupError):
            git.kill()
        while await output.read(_PIECE):
            pass


async def _copy(source: _Source, sink: _Sink) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
