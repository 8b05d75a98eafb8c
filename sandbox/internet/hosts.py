"""A stand-in for the parts of the internet that the clusters take things from.

One HTTPS server on 127.0.0.1 answers for a few host names, each from a folder: plain files, or
bare Git repositories to be cloned. Beside it, a proxy that knows the way to these hosts and to no
other, so that a program with `HTTPS_PROXY` reaches them by the addresses it always uses, and
nothing else. Its certificate has to name the hosts.
"""

from __future__ import annotations

import mimetypes
import shutil
import socket
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox.internet import smart_http
from sandbox.internet.web import Handler, RequestError, TlsServer, segments

MOST_HEAD = 8192
HEAD_TIMEOUT = 10.0


class InternetServer(TlsServer):
    """Serves files for the hosts of `sites`, and repositories for those of `public_git`."""

    def __init__(
        self,
        port: int,
        *,
        certificate: Path,
        key: Path,
        sites: Mapping[str, Path],
        public_git: Mapping[str, Path],
    ) -> None:
        super().__init__(port, InternetHandler, certificate=certificate, key=key)
        self.sites = {host.lower(): folder.resolve() for host, folder in sites.items()}
        self.public_git = {host.lower(): folder.resolve() for host, folder in public_git.items()}

    def hosts(self) -> frozenset[str]:
        """Return the names it answers for."""
        return frozenset(self.sites) | frozenset(self.public_git)


class InternetHandler(Handler):
    """One connection to one of the hosts."""

    server: InternetServer

    def answer(self) -> None:
        """Look in the folder of the host that is asked for."""
        host = self.headers.get("Host", "").partition(":")[0].lower()
        path, _, query = self.path.partition("?")
        if host in self.server.public_git:
            request = smart_http.recognise(segments(path), query)
            if request is not None:
                self._serve_git(self.server.public_git[host], request, query)
                return
        if host not in self.server.sites:
            raise RequestError(404, f"{host or 'no host'}: nothing here at {path}")
        if self.command not in ("GET", "HEAD"):
            raise RequestError(405, "files can only be read")
        self._serve_file(self.server.sites[host], path)

    def _serve_git(self, folder: Path, request: smart_http.GitRequest, query: str) -> None:
        directory = folder.joinpath(*request.repository[:-1], f"{request.repository[-1]}.git")
        if request.service != "git-upload-pack":
            raise RequestError(403, "this repository can only be read")
        if not (directory / "HEAD").is_file() or not directory.resolve().is_relative_to(folder):
            raise RequestError(404, "no such repository")
        smart_http.serve(self, request, directory, query=query, user=None)

    def _serve_file(self, folder: Path, path: str) -> None:
        # Links may lead out of the folder; what they lead to is not served.
        file = folder.joinpath(*segments(path)).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            raise RequestError(404, "no such file")
        with file.open("rb") as content:
            self.send_response(200)
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            if self.command == "GET":
                shutil.copyfileobj(content, self.wfile)


class Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy on 127.0.0.1 that only tunnels, only to port 443 of `hosts`.

    All tunnels end at `target`, a port of this machine.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, *, hosts: frozenset[str], target: int) -> None:
        super().__init__(("127.0.0.1", port), Tunnel)
        self.hosts = hosts
        self.target = target

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a connection that broke, which is no error of ours."""


class Tunnel(socketserver.BaseRequestHandler):
    """One connection through the proxy."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        """Read the CONNECT, open the tunnel, and stay until both directions are at their end."""
        self.request.settimeout(HEAD_TIMEOUT)
        wanted = self._wanted()
        if wanted not in {f"{host}:443" for host in self.server.hosts}:
            print(f"CONNECT {ascii(wanted)[1:-1]} 403", flush=True)
            self._say("403 Forbidden")
            return
        print(f"CONNECT {wanted} 200", flush=True)
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            self._say("200 Connection established")
            # No limit of ours: the server behind the tunnel ends what is idle.
            for connection in (self.request, target):
                connection.settimeout(None)
            back = threading.Thread(target=_relay, args=(target, self.request), daemon=True)
            back.start()
            _relay(self.request, target)
            back.join()

    def _wanted(self) -> str:
        """Return `HOST:PORT` of a CONNECT, and nothing for any other request."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MOST_HEAD:
            # Nothing is lost behind the head: a client sends no more until it has its answer.
            piece = self.request.recv(MOST_HEAD)
            if not piece:
                return ""
            head += piece
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[1].lower() if len(words) == 3 and words[0] == "CONNECT" else ""

    def _say(self, status: str) -> None:
        self.request.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())


def _relay(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction of a connection to its end, and pass that end on."""
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other direction must not wait for a peer that is gone.
        for connection in (source, target):
            _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
