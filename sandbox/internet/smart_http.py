"""Serve Git's smart HTTP protocol with `git http-backend`, which is part of Git."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import parse_qs

from sandbox.internet.web import Handler, RequestError

SERVICES = ("git-upload-pack", "git-receive-pack")
# Git starts no garbage collection in the background, and a client may ask for what GitHub allows.
_SETTINGS = {
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "safe.directory": "*",
}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment in which the sandbox's servers run Git, with `extra` added.

    Settings of the user and of the machine have no effect on it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = {"GIT_CONFIG_COUNT": str(len(_SETTINGS))}
    for number, (key, value) in enumerate(_SETTINGS.items()):
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **inherited,
        **settings,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "LC_ALL": "C",
        **(extra or {}),
    }


class GitRequest(NamedTuple):
    """A request of Git's protocol; `repository` is its path without `.git`."""

    repository: tuple[str, ...]
    service: str
    path_info: str


def recognise(parts: Sequence[str], query: str) -> GitRequest | None:
    """Return the Git request that a path and a query ask for, or None for any other request.

    `parts` are the decoded segments of the path. Only the smart protocol is served, so a list of
    refs for no service gives None.
    """
    if tuple(parts[-2:]) == ("info", "refs"):
        service = parse_qs(query).get("service", [""])[0]
        repository, path_info = parts[:-2], "/info/refs"
    else:
        service, repository = parts[-1], parts[:-1]
        path_info = f"/{service}"
    if service not in SERVICES or not repository:
        return None
    return GitRequest((*repository[:-1], repository[-1].removesuffix(".git")), service, path_info)


def serve(
    handler: Handler, request: GitRequest, directory: Path, *, query: str, user: str | None
) -> None:
    """Answer from the bare repository in `directory`. Pushes need a `user`."""
    with handler.body() as body:
        variables = {
            "GIT_PROJECT_ROOT": str(directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path_info,
            "REQUEST_METHOD": handler.command,
            "QUERY_STRING": query,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(os.fstat(body.fileno()).st_size),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        if user is not None:
            variables["REMOTE_USER"] = user
        with subprocess.Popen(
            ["git", "http-backend"],
            stdin=body,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment(variables),
        ) as program:
            # When the client leaves, the pipe closes and Git ends by itself.
            _send_output(io.BufferedReader(cast("io.RawIOBase", program.stdout)), handler)


def _send_output(output: io.BufferedReader, handler: Handler) -> None:
    status, headers = 200, {}
    while line := output.readline().strip().decode("latin-1"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    if not headers:
        raise RequestError(500, "git http-backend gave no headers; read the log of this server")
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while piece := output.read1(1 << 16):
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")
