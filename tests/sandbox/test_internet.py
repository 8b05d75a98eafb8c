"""Tests of the stand-in for the internet: sites, public repositories and the proxy."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.internet.hosts import InternetServer
from sandbox.internet.proxy import Proxy
from sandbox.internet.web import ServerCertificate
from tests.sandbox.server_support import make_certificate, run_git, serving

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Internet:
    proxy_port: int
    certificate: ServerCertificate
    folder: Path

    def get(self, host: str, path: str, method: str = "GET") -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.certificate.chain))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.proxy_port, context=context, timeout=20
        )
        connection.set_tunnel(host, 443)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def git(self, *args: str, fails: bool = False) -> str:
        proxy = f"http://127.0.0.1:{self.proxy_port}"
        return run_git(*args, certificate=self.certificate, proxy=proxy, fails=fails)


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[Internet]:
    certificate = make_certificate(tmp_path, "charts.example.com", "git.example.com")
    site, repositories = tmp_path / "site", tmp_path / "repositories"
    (site / "charts").mkdir(parents=True)
    (site / "charts/index.yaml").write_text("entries: {}\n")
    (site / "outside").symlink_to(tmp_path / "key.pem")
    run_git(
        "init", "--bare", "-b", "main", str(repositories / "team/lib.git"), certificate=certificate
    )
    work = str(tmp_path / "work")
    run_git("init", "-b", "main", work, certificate=certificate)
    run_git("-C", work, "commit", "--allow-empty", "-m", "One", certificate=certificate)
    run_git("-C", work, "push", str(repositories / "team/lib.git"), "main", certificate=certificate)
    server = InternetServer(
        0,
        certificate,
        sites={"charts.example.com": site},
        public_git={"git.example.com": repositories},
    )
    proxy = Proxy(0, hosts=server.hosts(), target=server.server_port)
    with serving(server), serving(proxy):
        yield Internet(proxy.server_address[1], certificate, tmp_path)


def test_files_are_served_by_host(internet: Internet) -> None:
    assert internet.get("charts.example.com", "/charts/index.yaml") == (200, b"entries: {}\n")
    assert internet.get("charts.example.com", "/charts/index.yaml", "HEAD") == (200, b"")
    assert internet.get("charts.example.com", "/charts/index.yaml", "POST")[0] == 405
    assert internet.get("git.example.com", "/charts/index.yaml")[0] == 404


@pytest.mark.parametrize(
    "path", ["/charts", "/none", "/", "/../key.pem", "/charts/..%2f..%2fkey.pem", "/outside"]
)
def test_nothing_outside_the_folder_is_served(internet: Internet, path: str) -> None:
    assert internet.get("charts.example.com", path)[0] == 404


def test_a_public_repository_is_cloned_without_a_token(internet: Internet) -> None:
    for number, url in enumerate(("team/lib", "team/lib.git")):
        work = str(internet.folder / f"clone{number}")
        internet.git("clone", f"https://git.example.com/{url}", work)
        assert internet.git("-C", work, "log", "--format=%s").strip() == "One"
    internet.git("-C", work, "commit", "--allow-empty", "-m", "Two")
    assert "403" in internet.git("-C", work, "push", "origin", "main", fails=True)
    assert "not found" in internet.git("ls-remote", "https://git.example.com/no/no", fails=True)


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT other.example.com:443",
        "CONNECT charts.example.com:80",
        "CONNECT 127.0.0.1:443",
        "GET http://charts.example.com/",
        "nonsense",
    ],
)
def test_the_proxy_refuses_every_other_destination(internet: Internet, request_line: str) -> None:
    with socket.create_connection(("127.0.0.1", internet.proxy_port), timeout=20) as connection:
        connection.sendall(f"{request_line} HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403 Forbidden\r\n")
