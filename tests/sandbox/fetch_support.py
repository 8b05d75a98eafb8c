"""An internet from which `fleet fetch` downloads, with faults at will."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox.internet.hosts import InternetHandler, InternetServer
from sandbox.internet.proxy import Proxy
from sandbox.internet.web import ServerCertificate
from tests.sandbox.server_support import make_certificate, serving

RAW, GITHUB = "raw.githubusercontent.com", "github.com"
INSTALL = "/fluxcd/flux2/releases/download/v2.9.2/install.yaml"


class FaultyServer(InternetServer):
    """Serves some paths with a fault: redirect, other content, forbidden, half or no end."""

    def __init__(self, certificate: ServerCertificate, sites: Mapping[str, Path]) -> None:
        super().__init__(0, certificate, sites=sites, public_git={})
        self._handler = FaultyHandler
        self.asked: list[str] = []
        self.faults: dict[str, str] = {}
        self.reached = threading.Event()
        self.released = threading.Event()


class FaultyHandler(InternetHandler):
    """One connection to a FaultyServer."""

    server: FaultyServer

    def answer(self) -> None:
        """Serve the file, or the fault of its path."""
        self.server.asked.append(self.path)
        fault = self.server.faults.get(self.path)
        if fault is None:
            super().answer()
        elif fault == "redirect":
            self.reply(302, headers={"Location": f"http://{RAW}/x?token=secret"})
        elif fault == "other content":
            self.reply(200, b"other")
        elif fault == "forbidden":
            self.reply(403)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.server.reached.set()
            if fault == "no end":
                self.server.released.wait()
            self.close_connection = True


@contextmanager
def internet(
    folder: Path, sites: Mapping[str, Path]
) -> Iterator[tuple[FaultyServer, dict[str, str]]]:
    """Serve `sites`; yield the server and the variables with which a program reaches only it."""
    certificate = make_certificate(folder, *sites)
    server = FaultyServer(certificate, sites)
    proxy = Proxy(0, hosts=server.hosts(), target=server.server_port)
    url = f"http://127.0.0.1:{proxy.server_address[1]}"
    variables = {
        # Python prefers the name in small letters, and Go the other one.
        "HTTPS_PROXY": url,
        "https_proxy": url,
        "no_proxy": "",
        "NO_PROXY": "",
        "SSL_CERT_FILE": str(certificate.chain),
    }
    with serving(server), serving(proxy):
        yield server, variables
        server.released.set()
