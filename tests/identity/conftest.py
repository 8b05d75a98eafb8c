"""A GitHub whose certificate this process trusts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.internet.web import ServerCertificate
from tests.sandbox.github_client import Client, github
from tests.sandbox.server_support import make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    """A certificate for 127.0.0.1 and localhost."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture
def client(
    tmp_path: Path, certificate: ServerCertificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client of a GitHub stand-in whose repository example/tree has a first commit."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    with github(tmp_path / "repositories", certificate) as client:
        yield client
