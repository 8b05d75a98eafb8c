"""An HTTPS server that answers for several host names, each from a folder of its own.

A folder holds plain files, or bare Git repositories that can be cloned. The server's certificate
must name all hosts.
"""

from __future__ import annotations

import mimetypes
import shutil
from collections.abc import Mapping
from pathlib import Path

from sandbox.internet import smart_http
from sandbox.internet.web import Handler, RequestError, ServerCertificate, TlsServer, segments


class InternetServer(TlsServer):
    """Serves files for the hosts of `sites`, and repositories for those of `public_git`."""

    def __init__(
        self,
        port: int,
        certificate: ServerCertificate,
        sites: Mapping[str, Path],
        public_git: Mapping[str, Path],
    ) -> None:
        super().__init__(port, InternetHandler, certificate)
        self.sites = {host.lower(): folder.resolve() for host, folder in sites.items()}
        self.public_git = {host.lower(): folder.resolve() for host, folder in public_git.items()}

    def hosts(self) -> frozenset[str]:
        """Return the host names that this server answers for."""
        return frozenset(self.sites) | frozenset(self.public_git)


class InternetHandler(Handler):
    """One connection to one of the hosts."""

    server: InternetServer

    def answer(self) -> None:
        """Serve from the folder of the host that the request names."""
        host = self.headers.get("Host", "").partition(":")[0].lower()
        path, _, query = self.path.partition("?")
        if host in self.server.public_git:
            request = smart_http.recognise(segments(path), query)
            if request is not None:
                self._serve_git(self.server.public_git[host], request, query)
                return
        if host not in self.server.sites:
            raise RequestError(404, f"{host or 'no host'}: nothing is served at {path}")
        if self.command not in ("GET", "HEAD"):
            raise RequestError(405, "files are read-only; use GET or HEAD")
        self._serve_file(self.server.sites[host], path)

    def _serve_git(self, folder: Path, request: smart_http.GitRequest, query: str) -> None:
        directory = folder.joinpath(*request.repository[:-1], f"{request.repository[-1]}.git")
        if request.service != "git-upload-pack":
            raise RequestError(403, "public repositories are read-only; clone or fetch")
        if not (directory / "HEAD").is_file() or not directory.resolve().is_relative_to(folder):
            raise RequestError(404, "no such repository")
        smart_http.serve(self, request, directory, query=query, user=None)

    def _serve_file(self, folder: Path, path: str) -> None:
        # A symbolic link may lead out of the folder; such a file is not served.
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
