"""The base of the sandbox's HTTPS servers: TLS, keep-alive, request bodies, an access log."""

from __future__ import annotations

import signal
import socket
import socketserver
import ssl
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from sandbox.sandbox_error import SandboxError

HANDSHAKE_TIMEOUT = 10.0
# Go's clients close an idle connection after 90 s. The server waits longer, so that a client never
# sends a request on a connection that the server is closing.
IDLE_TIMEOUT = 120.0
MAX_BODY = 1 << 30

_Request = socket.socket | tuple[bytes, socket.socket]  # the type that socketserver declares


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files of a server: `chain` begins with its certificate, `key` is the private key."""

    chain: Path
    key: Path


class RequestError(SandboxError):
    """A request that the server refuses; `errors` is the list of that name in GitHub's answers."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = headers
        self.status = HTTPStatus(status)
        self.message = message
        self.errors = tuple(errors)


class TlsServer(ThreadingHTTPServer):
    """A server on 127.0.0.1 with a thread for each connection. Port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[Handler], certificate: ServerCertificate) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.chain, certificate.key)
        self._handler = handler
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """Bind without the look-up of this machine's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def finish_request(self, request: _Request, client_address: object) -> None:
        """Do the TLS handshake in the connection's own thread, so a silent client delays nobody."""
        assert isinstance(request, socket.socket)  # noqa: S101
        request.settimeout(HANDSHAKE_TIMEOUT)
        try:
            connection = self._context.wrap_socket(request, server_side=True)
        except OSError:
            return
        try:
            self._handler(connection, client_address, self)
        finally:
            self.shutdown_request(connection)

    def handle_error(self, request: _Request, client_address: object) -> None:
        """Ignore a connection that broke; print every other error, because it is a bug."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection. A subclass answers each request in `answer`, which may raise RequestError."""

    protocol_version = "HTTP/1.1"
    server_version = "fleet-sandbox"
    sys_version = ""
    timeout = IDLE_TIMEOUT
    disable_nagle_algorithm = True
    # http.server itself answers a malformed request, and `_log` then reads these values.
    path = ""
    _started = 0.0

    def answer(self) -> None:
        """Answer the request in `self.command` and `self.path`."""
        raise NotImplementedError

    def refuse(self, refusal: RequestError) -> None:
        """Answer with an error, as plain text."""
        self.reply(refusal.status, f"{refusal.message}\n".encode(), {"Content-Type": "text/plain"})

    def reply(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a complete answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != HTTPStatus.NOT_MODIFIED:
            self.wfile.write(body)

    @contextmanager
    def body(self) -> Iterator[IO[bytes]]:
        """Yield the request's body as a file on disk, because a push can be larger than memory."""
        with tempfile.TemporaryFile() as file:
            size = 0
            for piece in self._pieces():
                size += len(piece)
                if size > MAX_BODY:
                    raise RequestError(
                        413, f"the request has more than {MAX_BODY} bytes; send less"
                    )
                file.write(piece)
            self._body_read = True
            file.seek(0)
            yield file

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := self._chunk_size():
                yield from self._read(size)
                self.rfile.readline(1024)
            while self.rfile.readline(65536).strip():
                pass  # a trailer
        else:
            yield from self._read(self._content_length())

    def _content_length(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            raise RequestError(400, "Content-Length is not a number; send the length in bytes")
        return int(length)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(1024).split(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError:
            raise RequestError(
                400, "a chunk has no hexadecimal size; send the size first"
            ) from None

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, 1 << 16))
            if not piece:
                raise ConnectionResetError("the client left in the middle of its request")
            size -= len(piece)
            yield piece

    def _has_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or self._content_length() > 0

    def _handle(self) -> None:
        self._started = time.monotonic()
        self._status = 0
        self._body_read = False
        try:
            if not self.path.startswith("/"):
                raise RequestError(
                    400, "the request target is not a path; send one that begins with /"
                )
            self.answer()
        except RequestError as refusal:
            self.refuse(refusal)
        except SandboxError as error:
            sys.stderr.write(f"{error}\n")
            self.refuse(RequestError(500, str(error)))
        finally:
            # The next request would otherwise begin with the unread rest of this body.
            if not self._body_read and self._has_body():
                self.close_connection = True
            if not self._status:
                self._log()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def send_response(self, code: int, message: str | None = None) -> None:
        """Write the log line first, so that a client that has the answer finds it."""
        self._status = int(code)
        self._log()
        super().send_response(code, message)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing, because `send_response` has written the line already."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing, because http.server quotes requests, and these can contain tokens."""

    def _log(self) -> None:
        path = ascii(self.path)[1:-1] if self.path.startswith("/") else "-"
        took = (time.monotonic() - self._started) * 1000 if self._started else 0
        # A single write keeps the lines of two threads apart.
        sys.stdout.write(f"{self.command or '-'} {path} {self._status} {took:.0f}\n")
        sys.stdout.flush()


def segments(path: str) -> list[str]:
    """Return the decoded segments of a path. Raises RequestError for a path that is unsafe."""
    parts = [unquote(part) for part in path.split("?")[0].strip("/").split("/")]
    if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
        raise RequestError(404, "Not Found")
    return parts


def serve_until_terminated(server: socketserver.BaseServer) -> None:
    """Serve until SIGTERM or SIGINT, then close the socket."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with server:
        server.serve_forever(poll_interval=0.5)
