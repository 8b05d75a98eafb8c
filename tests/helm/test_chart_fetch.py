"""`fleet fetch` fills the cache of charts from all kinds of sources, and keeps to the lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import cache, files
from fleet.check import json_schemas
from fleet.helm import chart_fetch, chart_lock
from fleet.helm.chart_fetch import Fetched
from fleet.helm.chart_lock import Locked
from fleet.helm.charts import Chart, Pin
from fleet.helm.wanted_charts import WantedCharts
from fleet.kube.yaml_writer import to_yaml
from tests.helm.chart_servers import (
    CDN,
    CHART_LAYER,
    CHARTS,
    GIT,
    REGISTRY,
    ChartServer,
    chart_server,
    digest_of,
    manifest_of,
)
from tests.helm.support import (
    Repository,
    chart,
    chart_of,
    names,
    packaged,
    release,
    source,
)
from tests.support import Run, definition, with_manifests, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

HELM_URL = f"https://{CHARTS}/stable"
OCI_URL = f"oci://{REGISTRY}/acme/demo"
GIT_URL = f"https://{GIT}/acme/charts"
VERSIONS = ("1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0+a", "2.0.0+b")
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps"}}
CONTENT = {version: packaged(chart(version=version)) for version in VERSIONS}


@dataclass(frozen=True)
class Internet:
    """The sources of charts, and the repository that uses them."""

    server: ChartServer
    folder: Path
    repository: Repository

    def fetch(self, *charts: Chart) -> Fetched:
        wanted = WantedCharts(charts=frozenset(charts))
        return chart_fetch.fetch(self.repository.root, wanted, lambda _: None)

    def write_index(self, **more: Any) -> None:  # noqa: ANN401 - fields of an entry
        """Serve a chart repository with all versions."""
        entries = []
        for day, (version, content) in enumerate(CONTENT.items(), start=1):
            path = f"charts/demo-{version}.tgz"
            digest = hashlib.sha256(content).hexdigest()
            created = f"2026-01-0{day}T00:00:00Z"
            entry = {"version": version, "urls": [path], "digest": digest, "created": created}
            entries.append({**entry, **more})
            files.write(self.folder / CHARTS / "stable" / path, content)
        index = yaml.safe_dump({"apiVersion": "v1", "entries": {"demo": entries}})
        files.write(self.folder / CHARTS / "stable" / "index.yaml", index.encode())


@pytest.fixture
def internet(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Internet]:
    with chart_server(tmp_path) as (server, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield Internet(server, tmp_path, repository)


def of_helm(version: str, url: str = HELM_URL, **more: Any) -> Chart:  # noqa: ANN401
    pin = Pin(source=url, chart="demo", version=version)
    return Chart(kind="HelmRepository", pin=pin, **more)


def of_oci(version: str, **more: Any) -> Chart:  # noqa: ANN401
    pin = Pin(source=OCI_URL, version=version)
    return Chart(kind="OCIRepository", pin=pin, layer=CHART_LAYER, **more)


def locked(version: str, resolved: str | None = None) -> Locked:
    sha256 = hashlib.sha256(CONTENT[version]).hexdigest()
    return Locked(resolved=resolved or version, sha256=sha256)


@pytest.mark.parametrize(
    ("wanted", "resolved"),
    [("1.0.0", "1.0.0"), ("1.x", "1.2.0"), (">=1.3.0-0 <2", "1.3.0-rc.1"), ("*", "2.0.0+b")],
)
def test_a_version_of_a_chart_repository(internet: Internet, wanted: str, resolved: str) -> None:
    """The latest one of versions that differ in build metadata only is taken."""
    internet.write_index()
    wanted_chart = of_helm(wanted)
    fetched = internet.fetch(wanted_chart)
    assert (fetched.failed, fetched.private) == ([], [])
    assert fetched.locked == {wanted_chart.pin: locked(resolved)}
    assert chart_lock.read(internet.repository.root) == fetched.locked
    kept = cache.download(locked(resolved).sha256)
    assert kept.read_bytes() == CONTENT[resolved]


def test_a_lock_keeps_its_version(internet: Internet) -> None:
    internet.write_index()
    wanted = of_helm("*")
    assert wanted.pin is not None
    chart_lock.write(internet.repository.root, {wanted.pin: locked("1.0.0")})
    assert internet.fetch(wanted).locked == {wanted.pin: locked("1.0.0")}
    asked = len(internet.server.asked)
    assert internet.fetch(wanted).failed == []
    assert len(internet.server.asked) == asked  # the cache has it now
    cache.download(locked("1.0.0").sha256).write_bytes(b"damaged")
    assert internet.fetch(wanted).failed == []
    assert cache.download(locked("1.0.0").sha256).read_bytes() == CONTENT["1.0.0"]
    # An entry that nothing needs is removed, but not while a cluster does not build.
    broken = WantedCharts(charts=frozenset(), problems=["clusters/dev: does not build"])
    root = internet.repository.root
    assert wanted.pin in chart_fetch.fetch(root, broken, lambda _: None).locked
    assert internet.fetch().locked == {} and not (root / chart_lock.FILE).exists()


def test_another_checksum_than_the_lock(internet: Internet) -> None:
    internet.write_index(digest="")
    wanted = of_helm("1.0.0")
    assert wanted.pin is not None
    other = Locked(resolved="1.0.0", sha256="a" * 64)
    chart_lock.write(internet.repository.root, {wanted.pin: other})
    fetched = internet.fetch(wanted)
    assert fetched.failed == [
        f"{HELM_URL}: chart demo 1.0.0: sha256 is {locked('1.0.0').sha256}, but charts.lock.yaml "
        f"has {'a' * 64}; find out which one is right before you go on"
    ]
    assert chart_lock.read(internet.repository.root) == {wanted.pin: other}
    assert not (cache.directory() / "downloads").exists()


def test_failures_of_a_chart_repository(internet: Internet) -> None:
    line = f"{HELM_URL}: chart demo 1.0.0: "
    (found,) = internet.fetch(of_helm("1.0.0")).failed
    assert found.startswith(f"{line}{HELM_URL}/index.yaml: cannot be fetched: HTTP status 404")
    internet.write_index(digest="b" * 64)
    (found,) = internet.fetch(of_helm("1.0.0")).failed
    assert f"but its index has {'b' * 64}; find out" in found
    internet.write_index(urls=["http://charts.example.com/x.tgz"])
    (found,) = internet.fetch(of_helm("1.0.0")).failed
    assert found == f"{line}its index names no https URL for the chart; ask its owner for one"
    (found,) = internet.fetch(of_helm(">9")).failed
    assert found.endswith("has no version >9; correct the name or the version")
    (found,) = internet.fetch(of_helm("junk")).failed
    assert "improper constraint" in found and "\n" not in found


def test_a_private_chart(internet: Internet) -> None:
    fetched = internet.fetch(of_helm("1.0.0", private="its source has spec.secretRef"))
    line = f"{HELM_URL}: chart demo 1.0.0: not fetched: its source has spec.secretRef"
    assert fetched == Fetched(locked={}, private=[line], failed=[])
    assert internet.server.asked == []


@pytest.mark.parametrize(
    ("wanted", "found"), [("1.0.0", "1.0.0"), ("1.x", "1.2.0"), ("2.0.0+b", "2.0.0+b")]
)
def test_a_chart_repository_in_a_registry(internet: Internet, wanted: str, found: str) -> None:
    internet.server.tags = {key.replace("+", "_"): content for key, content in CONTENT.items()}
    fetched = internet.fetch(of_helm(wanted, f"oci://{REGISTRY}/acme"))
    assert fetched.failed == []
    assert list(fetched.locked.values()) == [locked(found)]
    assert f"{CDN}/{digest_of(CONTENT[found])}" in internet.server.asked


@pytest.mark.parametrize(
    ("wanted", "tag_filter", "found", "tag"),
    [
        ("tag latest", "", "1.0.0", "latest"),
        ("semver 1.x", "", "1.2.0", "1.2.0"),
        ("semver *", "^1.0", "1.0.0", "1.0.0"),
        (f"digest {digest_of(manifest_of(CONTENT['1.2.0']))}", "", "1.2.0", ""),
    ],
)
def test_an_oci_repository(
    internet: Internet, wanted: str, tag_filter: str, found: str, tag: str
) -> None:
    tags = {key.replace("+", "_"): content for key, content in CONTENT.items()}
    internet.server.tags = {**tags, "latest": CONTENT["1.0.0"]}
    wanted_chart = of_oci(wanted, tag_filter=tag_filter)
    assert wanted_chart.pin is not None
    fetched = internet.fetch(wanted_chart)
    digest = digest_of(manifest_of(CONTENT[found]))
    resolved = f"{tag}@{digest}" if tag else digest
    assert fetched == Fetched(
        locked={wanted_chart.pin: locked(found, resolved)}, private=[], failed=[]
    )
    # A tag that moves changes nothing: the lock has the digest.
    cache.download(locked(found).sha256).unlink()
    internet.server.tags = {**tags, "latest": CONTENT["2.0.0+b"]}
    assert internet.fetch(wanted_chart).locked == fetched.locked


def test_a_wrong_filter_of_tags(internet: Internet) -> None:
    (found,) = internet.fetch(of_oci("semver 1.x", tag_filter="(")).failed
    assert "spec.ref.semverFilter: " in found and found.endswith("; correct it")


def test_a_registry_that_is_not_public(internet: Internet) -> None:
    internet.server.is_private = True
    (found,) = internet.fetch(of_oci("tag latest")).failed
    assert "HTTP status 401" in found


def git_repository(folder: Path) -> str:
    """Make a bare repository with a chart and some tags; return the commit."""
    work = folder / "work"
    for path, content in chart().items():
        files.write(work / "charts/demo" / path, content)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*args: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *args]
        done = subprocess.run(
            command, cwd=work, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "--message=a")
    for tag in ("v1.0.0", "v1.1.0", "v2.0.0"):
        git("tag", tag)
    (folder / GIT / "acme").mkdir(parents=True)
    git("clone", "--quiet", "--bare", ".", str(folder / GIT / "acme/charts.git"))
    return git("rev-parse", "HEAD")


def test_a_git_repository(internet: Internet) -> None:
    commit = git_repository(internet.folder)
    references = (
        "tag v1.0.0",
        "branch main",
        "semver 1.x",
        f"commit {commit}",
        "name refs/heads/main",
    )
    wanted = [
        Chart(kind="GitRepository", pin=Pin(source=GIT_URL, version=version), path="charts/demo")
        for version in references
    ]
    fetched = internet.fetch(*wanted)
    assert fetched.failed == []
    # All are the same commit, whose files have the same checksum on every machine.
    (entry,) = set(fetched.locked.values())
    assert entry.resolved == commit
    cache.download(entry.sha256).unlink()
    assert internet.fetch(*wanted).failed == []

    made = source("GitRepository", GIT_URL, ref={"tag": "v1.0.0"})
    of = release(chart_of(made, chart="./charts/demo"))
    assert names(internet.repository.render(of, [made])) == ["ConfigMap demo"]


def test_a_missing_git_reference(internet: Internet) -> None:
    git_repository(internet.folder)
    pin = Pin(source=GIT_URL, version="tag v9")
    (found,) = internet.fetch(Chart(kind="GitRepository", pin=pin)).failed
    assert found.startswith(f"{GIT_URL}: tag v9: git: exit 128: ") and "refs/tags/v9" in found
    assert "\n" not in found


def test_the_command(internet: Internet, checkout: Path, fleet: Run) -> None:
    """The charts of all clusters are fetched, and rendering then needs no network."""
    internet.write_index()
    json_schemas.folder().mkdir(parents=True)
    with_manifests(checkout)
    made = source("HelmRepository", HELM_URL)
    private = {
        **source("HelmRepository", "https://private.example.com", secretRef={"name": "x"}),
        "metadata": {"name": "private", "namespace": "apps"},
    }
    named = {"metadata": {"name": "other", "namespace": "apps"}}
    releases = [release(chart_of(made)), {**release(chart_of(private)), **named}]
    text = to_yaml(NAMESPACE, made, private, *releases)
    write(checkout, definition("apps/podinfo/base", text))
    ended = fleet("fetch", "--root", checkout)
    pin = f"{HELM_URL}: chart demo 1.x"
    private_pin = "https://private.example.com: chart demo 1.x"
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-2] == f"{pin}: 1.2.0"
    assert ended.err == (
        f"{private_pin}: not fetched: its source has spec.secretRef, which only the cluster can "
        "use\n"
    )
    rendering = Repository(checkout).render(releases[0], [made])
    assert names(rendering) == ["ConfigMap demo"]

    (internet.folder / CHARTS / "stable/index.yaml").unlink()
    cache.download(locked("1.2.0").sha256).unlink()
    ended = fleet("fetch", "--root", checkout)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(f"{pin}: {HELM_URL}/index.yaml: cannot be fetched")
