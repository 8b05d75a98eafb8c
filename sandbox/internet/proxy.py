"""An HTTP proxy that reaches the hosts of the stand-in and no others.

A program with `HTTPS_PROXY` uses the public addresses, and its connections end at the stand-in.
"""

from __future__ import annotations

import socket
import socketserver
import threading

MAX_HEAD = 8192
HEAD_TIMEOUT = 10.0


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy on 127.0.0.1 that opens tunnels to port 443 of `hosts`, and does nothing else.

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
        """Ignore a connection that broke: the client or the server closed it."""


class Tunnel(socketserver.BaseRequestHandler):
    """One connection through the proxy."""

    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        """Read the CONNECT request, then copy in both directions until both have ended."""
        self.request.settimeout(HEAD_TIMEOUT)
        destination = self._destination()
        if destination not in {f"{host}:443" for host in self.server.hosts}:
            print(f"CONNECT {ascii(destination)[1:-1]} 403", flush=True)
            self._reply("403 Forbidden")
            return
        print(f"CONNECT {destination} 200", flush=True)
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            self._reply("200 Connection established")
            # The server behind the tunnel closes idle connections, so the proxy needs no timeout.
            for connection in (self.request, target):
                connection.settimeout(None)
            back = threading.Thread(target=_relay, args=(target, self.request), daemon=True)
            back.start()
            _relay(self.request, target)
            back.join()

    def _destination(self) -> str:
        """Return `HOST:PORT` of a CONNECT request, or an empty text for any other request."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
            # A client sends nothing after the head before it has the answer, so this read takes
            # no bytes that belong to the tunnel.
            piece = self.request.recv(MAX_HEAD)
            if not piece:
                return ""
            head += piece
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[1].lower() if len(words) == 3 and words[0] == "CONNECT" else ""

    def _reply(self, status: str) -> None:
        self.request.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())


def _relay(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction of a connection until it ends, then end that direction of `target`."""
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone; without this the thread of the other direction would wait for ever.
        for connection in (source, target):
            _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
