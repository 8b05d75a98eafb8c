"""A chart repository, an OCI registry and a Git server, all on this machine behind a proxy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox.internet.hosts import InternetHandler, InternetServer
from sandbox.internet.proxy import Proxy
from sandbox.internet.web import ServerCertificate
from tests.sandbox.server_support import make_certificate, serving

CHARTS, REGISTRY, CDN, GIT = (
    f"{name}.example.com" for name in ("charts", "registry", "cdn", "git")
)
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_REPOSITORY = "/v2/acme/demo"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(content: bytes) -> bytes:
    """Return the manifest of an artifact with a chart, which is not its first layer."""
    layers = [
        {"mediaType": "application/other", "digest": digest_of(b"other")},
        {"mediaType": CHART_LAYER, "digest": digest_of(content)},
    ]
    return json.dumps({"schemaVersion": 2, "layers": layers}).encode()


class ChartServer(InternetServer):
    """All hosts. The registry has `tags`, one on each page; it needs the token of everyone.

    A blob is at another host, which is asked without the token.
    """

    def __init__(self, certificate: ServerCertificate, folder: Path) -> None:
        sites, git = {CHARTS: folder / CHARTS}, {GIT: folder / GIT}
        super().__init__(0, certificate, sites=sites, public_git=git)
        self._handler = ChartHandler
        self.asked: list[str] = []
        self.tags: dict[str, bytes] = {}
        self.is_private = False

    def hosts(self) -> frozenset[str]:
        return super().hosts() | {REGISTRY, CDN}


class ChartHandler(InternetHandler):
    """One connection to one of the hosts."""

    server: ChartServer

    def answer(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        self.server.asked.append(f"{host}{self.path}")
        if host == REGISTRY:
            self._answer_registry()
        elif host == CDN:
            assert "Authorization" not in self.headers
            blobs = {digest_of(content): content for content in self.server.tags.values()}
            self.reply(200, blobs[self.path.strip("/")])
        else:
            super().answer()

    def _answer_registry(self) -> None:
        path, _, query = self.path.partition("?")
        what = path.removeprefix(_REPOSITORY)
        if path == "/token":
            assert query == "service=all&scope=pull"
            self._reply_json({"token": "for-everyone"})
        elif self.headers.get("Authorization") != "Bearer for-everyone" or self.server.is_private:
            realm = f'Bearer realm="https://{REGISTRY}/token",service="all",scope="pull"'
            self.reply(401, headers={"WWW-Authenticate": realm})
        elif what == "/tags/list":
            self._reply_tags(query)
        elif what.startswith("/manifests/"):
            self._reply_manifest(what.rpartition("/")[2])
        else:
            self.reply(307, headers={"Location": f"https://{CDN}/{what.rpartition('/')[2]}"})

    def _reply_tags(self, query: str) -> None:
        tags = sorted(self.server.tags)
        page = int(query.partition("page=")[2] or 0)
        link = f'<{_REPOSITORY}/tags/list?page={page + 1}>; rel="next"'
        self._reply_json(
            {"tags": tags[page : page + 1]}, {"Link": link} if page < len(tags) else {}
        )

    def _reply_manifest(self, reference: str) -> None:
        manifests = {tag: manifest_of(content) for tag, content in self.server.tags.items()}
        manifests |= {digest_of(manifest): manifest for manifest in manifests.values()}
        if reference in manifests:
            self.reply(200, manifests[reference])
        else:
            self.reply(404)

    def _reply_json(self, content: object, headers: Mapping[str, str] | None = None) -> None:
        self.reply(200, json.dumps(content).encode(), headers)


@contextmanager
def chart_server(folder: Path) -> Iterator[tuple[ChartServer, dict[str, str]]]:
    """Serve the hosts; yield the server and the variables with which a program reaches only it."""
    certificate = make_certificate(folder, CHARTS, REGISTRY, CDN, GIT)
    server = ChartServer(certificate, folder)
    proxy = Proxy(0, hosts=server.hosts(), target=server.server_port)
    names = ("HTTPS_PROXY", "https_proxy")
    variables = {
        **dict.fromkeys(names, f"http://127.0.0.1:{proxy.server_address[1]}"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
        "SSL_CERT_FILE": str(certificate.chain),
    }
    with serving(server), serving(proxy):
        yield server, variables
