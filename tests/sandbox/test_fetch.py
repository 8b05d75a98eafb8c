"""`fleet fetch` and then `fleet check` by a person who has no Go and no sandbox."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet import cache, files
from fleet.check import json_schemas
from fleet.helm import chart_lock
from fleet.kube import artifact, schema_sources
from fleet.policies import judgement
from sandbox.build import parts, schema_pins, tools
from tests.sandbox.fetch_support import GITHUB, INSTALL, RAW, FaultyServer, internet
from tests.support import REPOSITORY, Ended, contents

pytestmark = pytest.mark.slow

SCHEMAS = "schemas.example.com"
KYVERNO = "kyverno.github.io"
PATHS = [file.url.removeprefix(f"https://{RAW}") for file in schema_sources.pinned()]
# Every connection fails, also one to this machine.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}


@dataclass(frozen=True)
class Adopter:
    """A person with an empty cache, and with kustomize, kubeconform and Git on PATH."""

    server: FaultyServer
    cache: Path
    checkout: Path
    environment: Mapping[str, str]

    def start(self, *args: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fleet", *args, "--root", str(self.checkout)],
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, **variables: str) -> Ended:
        with self.start(*args, **variables) as process:
            out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files that `fleet fetch` downloads, from the Go modules; a folder for each host."""
    folder = tmp_path_factory.mktemp("site")
    for file, path in zip(schema_sources.pinned(), PATHS, strict=True):
        files.write(folder / RAW / path.strip("/"), schema_pins.read(file))
    files.write(folder / GITHUB / INSTALL.strip("/"), tools.manifests().read_bytes())
    return folder


@pytest.fixture
def adopter(tmp_path: Path, site: Path) -> Iterator[Adopter]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in parts.CHECK_PARTS:
        (programs / name).symlink_to(parts.program(name))
    (programs / "git").symlink_to(shutil.which("git") or "")
    # `fleet fetch` writes the lock of charts into the checkout.
    artifact.pack(REPOSITORY, tmp_path / "checkout")
    sites = {
        RAW: site / RAW,
        GITHUB: site / GITHUB,
        SCHEMAS: json_schemas.folder(),
        KYVERNO: tools.charts(),
    }
    with internet(tmp_path, sites) as (server, variables):
        environment = {
            "PATH": str(programs),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "PYTHONPATH": str(REPOSITORY),
            **variables,
        }
        cache_folder = tmp_path / "cache" / "fleet"
        yield Adopter(server, cache_folder, tmp_path / "checkout", environment)


def test_fetch_then_check_from_an_empty_cache(adopter: Adopter) -> None:
    before = adopter.run("check", **OFFLINE)
    assert before.code == 1
    assert before.err.endswith("JSON schemas: not found; run `fleet fetch`\n")

    fetched = adopter.run("fetch")
    assert (fetched.code, fetched.err) == (0, "")
    schemas = adopter.cache / json_schemas.folder().relative_to(cache.directory())
    assert fetched.out.splitlines()[-1] == f"JSON schemas: {schemas}"
    charts = ["/kyverno/index.yaml", "/kyverno/kyverno-3.9.1.tgz"]
    assert adopter.server.asked == [INSTALL, *PATHS, *charts]
    (pin,) = chart_lock.read(adopter.checkout)
    assert str(pin) == f"https://{KYVERNO}/kyverno: chart kyverno 3.9.1"
    assert f"{pin}: 3.9.1" in fetched.out.splitlines()
    # The sandbox makes the same schemas from the Go modules.
    assert contents(schemas) == contents(json_schemas.folder())

    checked = adopter.run("check", **OFFLINE)
    # An adopter has Kyverno's command line only on PATH.
    assert (checked.code, checked.err) == (0, f"{judgement.NOT_FOUND}\n")
    assert checked.out.endswith(" 0 findings\n")
    assert adopter.run("fetch", **OFFLINE) == fetched


def test_a_killed_fetch_leaves_nothing(adopter: Adopter) -> None:
    adopter.server.faults[PATHS[1]] = "no end"
    with adopter.start("fetch") as process:
        assert adopter.server.reached.wait(timeout=60)
        process.kill()
    adopter.server.released.set()
    first = schema_sources.pinned()[0].sha256
    assert {path.name for path in (adopter.cache / "downloads").iterdir()} == {first}
    assert "run `fleet fetch`" in adopter.run("check").err


def test_schemas_at_a_url(adopter: Adopter) -> None:
    checked = adopter.run("check", "--schemas", f"https://{SCHEMAS}/")
    assert checked.code == 0
    assert checked.out.endswith(" 0 findings\n")
    assert "/v1/namespace_v1.json" in adopter.server.asked

    adopter.server.faults["/v1/namespace_v1.json"] = "forbidden"
    failed = adopter.run("check", "--schemas", f"https://{SCHEMAS}/")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.splitlines()[-1] == (
        "error while downloading schema at https://schemas.example.com/v1/namespace_v1.json - "
        "received HTTP status 403; check --schemas and the connection"
    )
