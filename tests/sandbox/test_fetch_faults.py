"""Faults of the network and of the servers while `fleet fetch` downloads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.check import json_schemas
from fleet.kube import schema_sources
from tests.sandbox.fetch_support import GITHUB, INSTALL, RAW, FaultyServer, internet
from tests.support import INSTALL_MANIFESTS, Ended, Run, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
CRD = """\
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: KIND}
  versions: [{name: v1, served: true, schema: {openAPIV3Schema: {type: object}}}]
"""
SOURCES = {
    "acme/kubernetes/v1/swagger.json": json.dumps({"definitions": {OBJECT_META: {}}}),
    "acme/crds/v2/first.yaml": CRD.replace("KIND", "First"),
    "acme/crds/v2/second.yaml": CRD.replace("KIND", "Second"),
}
LAST = "/acme/crds/v2/second.yaml"


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# The error line after the URL begins so.
EXPECTED = {
    "redirect": "redirects to http://raw.githubusercontent.com, which is not https; find out who "
    "answers before you go on\n",
    "half": "cannot be fetched: ",
    "forbidden": "cannot be fetched: HTTP status 403 Forbidden; run the same command again\n",
    "other content": f"sha256 is {checksum('other')}, but fleet pins ",
}


def pins() -> dict[str, object]:
    """Return the pins of SOURCES."""
    sources = [(*path.rsplit("/", 2), checksum(text)) for path, text in SOURCES.items()]
    return {
        repository: {
            "tag": tag,
            "files": {name: sha256 for other, _, name, sha256 in sources if other == repository},
        }
        for repository, tag, _, _ in sources
    }


@dataclass(frozen=True)
class Download:
    server: FaultyServer
    cache: Path
    checkout: Path
    fleet: Run

    def run(self) -> Ended:
        return self.fleet("fetch", "--root", self.checkout)

    def cached(self) -> set[str]:
        """Return the names of the files in the cache, half-written ones included."""
        return {path.name for path in self.cache.rglob("*") if path.is_file()}


@pytest.fixture
def download(
    tmp_path: Path,
    empty_cache: Path,
    checkout: Path,
    fleet: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Download]:
    """`fleet fetch` with few and small sources."""
    site = tmp_path / "site"
    write(site / RAW, SOURCES)
    write(site / GITHUB, {INSTALL.strip("/"): INSTALL_MANIFESTS})
    monkeypatch.setattr(schema_sources, "PINS", tmp_path / "pins.json")
    write(tmp_path, {"pins.json": json.dumps(pins())})
    with internet(tmp_path, {host: site / host for host in (RAW, GITHUB)}) as (server, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield Download(server, empty_cache, checkout, fleet)


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_of_a_source(fault: str, download: Download) -> None:
    """Nothing half-written is left, and the same command completes with what is missing."""
    download.server.faults[LAST] = fault
    failed = download.run()
    assert failed.code == 1
    assert failed.err.startswith(f"https://{RAW}{LAST}: {EXPECTED[fault]}")
    assert len(failed.err.splitlines()) == 1
    assert "secret" not in failed.err
    complete = {checksum(text) for text in list(SOURCES.values())[:-1]}
    assert download.cached() == {"install.yaml", *complete}

    download.server.faults.clear()
    download.server.asked.clear()
    assert download.run().code == 0
    assert download.server.asked == [LAST]
    made = json_schemas.folder().rglob("*.json")
    assert sorted(path.name for path in made) == ["first_v1.json", "second_v1.json"]


@pytest.mark.parametrize("fault", ["redirect", "half", "forbidden"])
def test_a_fault_of_the_install_manifests(fault: str, download: Download) -> None:
    download.server.faults[INSTALL] = fault
    failed = download.run()
    assert failed.code == 1
    assert failed.err.startswith(f"https://{GITHUB}{INSTALL}: {EXPECTED[fault]}")
    assert len(failed.err.splitlines()) == 1
    assert download.cached() == set()
    download.server.faults.clear()
    assert download.run().code == 0


def test_a_host_that_cannot_be_reached(download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    failed = download.run()
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.startswith(f"https://{GITHUB}{INSTALL}: cannot be fetched: [Errno ")
    assert failed.err.endswith("Connection refused; run the same command again\n")
    assert download.cached() == set()


def test_a_damaged_file_in_the_cache_is_downloaded_again(download: Download) -> None:
    download.server.faults[LAST] = "forbidden"
    assert download.run().code == 1
    first = next(iter(SOURCES))
    (download.cache / "downloads" / checksum(SOURCES[first])).write_text("damaged")
    download.server.asked.clear()
    assert download.run().code == 1
    assert download.server.asked == [f"/{first}", LAST]
