"""Downloads of charts into the cache, each verified against the lock."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fleet import cache, files, https, process
from fleet.errors import CommandError, FleetError
from fleet.helm import chart_lock, git_tree, versions
from fleet.helm.chart_lock import Locked
from fleet.helm.charts import Chart, Pin
from fleet.helm.oci import CHART_LAYER, Repository
from fleet.helm.program import Helm
from fleet.helm.wanted_charts import WantedCharts
from fleet.kube import yaml_reader
from fleet.kube.fields import Fields, mapping_at, mappings_in


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The charts that are at hand now, and a line for each that is not."""

    locked: dict[Pin, Locked]
    private: list[str]
    failed: list[str]


def fetch(root: Path, wanted: WantedCharts, say: Callable[[str], None]) -> Fetched:
    """Download the charts that are not in the cache, and write the lock of a repository.

    A pin with an entry is downloaded as the entry says, so its version stays. An entry that no
    pin needs is removed, but not while a cluster does not build. Raises FleetError when the lock
    cannot be read or written.
    """
    lock = chart_lock.read(root)
    by_pin = {chart.pin: chart for chart in wanted.charts if chart.pin is not None}
    fetched = Fetched(locked=dict(lock) if wanted.problems else {}, private=[], failed=[])
    downloads = _Downloads()
    for pin, chart in sorted(by_pin.items()):
        locked = lock.get(pin)
        if locked is not None:
            fetched.locked[pin] = locked
            if _is_cached(locked):
                continue
        if chart.private:
            fetched.private.append(f"{pin}: not fetched: {chart.private}")
            continue
        say(f"fetching {pin}")
        try:
            fetched.locked[pin] = downloads.into_cache(chart, pin, locked)
        except FleetError as error:
            fetched.failed.append(f"{pin}: {error}")
    chart_lock.write(root, fetched.locked)
    return fetched


def _is_cached(locked: Locked) -> bool:
    path = cache.download(locked.sha256)
    return path.is_file() and _sha256(path.read_bytes()) == locked.sha256


@dataclass(kw_only=True)
class _Downloads:
    """The downloads of one run, which reads the index of a source once."""

    indexes: dict[str, Fields] = field(default_factory=dict)

    def into_cache(self, chart: Chart, pin: Pin, locked: Locked | None) -> Locked:
        """Download a chart, verify it and keep it. Raises FleetError."""
        download = {
            "HelmRepository": self._from_helm_repository,
            "OCIRepository": self._from_oci_repository,
            "GitRepository": self._from_git_repository,
        }[chart.kind]
        resolved, content = download(chart, pin, locked)
        sha256 = _sha256(content)
        if locked is not None and locked.sha256 != sha256:
            raise FleetError(
                f"sha256 is {sha256}, but {chart_lock.FILE} has {locked.sha256}; find out which "
                "one is right before you go on"
            )
        path = cache.download(sha256)
        try:
            files.write(path, content)
        except OSError as error:
            raise FleetError(f"{path}: cannot be written: {error.strerror}") from None
        return Locked(resolved=resolved, sha256=sha256)

    def _from_helm_repository(
        self, chart: Chart, pin: Pin, locked: Locked | None
    ) -> tuple[str, bytes]:
        version = locked.resolved if locked else pin.version
        if pin.source.startswith("oci://"):
            return _from_registry(f"{pin.source}/{pin.chart}", version)
        entries = mappings_in(mapping_at(self._index(pin.source), "entries").get(pin.chart))
        # Of versions that differ in build metadata only, Flux takes the latest.
        entries = sorted(entries, key=lambda entry: str(entry.get("created")), reverse=True)
        by_version = {str(entry.get("version")): entry for entry in entries}
        found = version if version in by_version else _latest(version, by_version)
        if found is None:
            raise FleetError(f"has no version {version}; correct the name or the version")
        return found, _packaged(pin.source, found, by_version[found])

    def _index(self, source: str) -> Fields:
        if source not in self.indexes:
            url = f"{source}/index.yaml"
            try:
                (found,) = yaml_reader.documents(https.get(url))
            except ValueError as error:
                raise FleetError(f"{url}: is no index of charts: {error}") from None
            self.indexes[source] = mapping_at({"index": found}, "index")
        return self.indexes[source]

    def _from_oci_repository(
        self, chart: Chart, pin: Pin, locked: Locked | None
    ) -> tuple[str, bytes]:
        repository = Repository(url=pin.source)
        key, _, reference = pin.version.partition(" ")
        tag = "" if key == "digest" else reference
        if locked is not None:
            tag, _, reference = locked.resolved.rpartition("@")
        elif key == "semver":
            tag = reference = _tag_in_range(repository, chart, reference)
        digest, manifest = repository.manifest(reference)
        resolved = f"{tag}@{digest}" if tag else digest
        return resolved, repository.layer(manifest, chart.layer)

    def _from_git_repository(
        self, chart: Chart, pin: Pin, locked: Locked | None
    ) -> tuple[str, bytes]:
        version = f"commit {locked.resolved}" if locked else pin.version
        return git_tree.fetch(pin.source, version, _helm())


def _from_registry(url: str, version: str) -> tuple[str, bytes]:
    """Return the version and the content of a chart in a registry; a tag has `_` for `+`."""
    repository = Repository(url=url)
    if not versions.complete([version]):
        by_version = {tag.replace("_", "+"): tag for tag in repository.tags()}
        found = _latest(version, by_version)
        if found is None:
            raise FleetError(f"has no version {version}; correct the name or the version")
        version = found
    _, manifest = repository.manifest(version.replace("+", "_"))
    return version, repository.layer(manifest, CHART_LAYER)


def _tag_in_range(repository: Repository, chart: Chart, wanted: str) -> str:
    """Return the tag that Flux finds for a range."""
    try:
        pattern = re.compile(chart.tag_filter)
    except re.error as error:
        raise FleetError(f"spec.ref.semverFilter: {error}; correct it") from None
    tags = [tag for tag in repository.tags() if pattern.search(tag)]
    is_chart = chart.layer == CHART_LAYER
    by_version = {tag.replace("_", "+") if is_chart else tag: tag for tag in tags}
    found = _latest(wanted, by_version)
    if found is None:
        raise FleetError(f"has no tag in the range {wanted}; correct the range")
    return by_version[found]


def _packaged(source: str, version: str, entry: Fields) -> bytes:
    """Return the packaged chart that an entry of an index names."""
    urls = entry.get("urls")
    url = str(urls[0]) if isinstance(urls, list) and urls else ""
    url = urllib.parse.urljoin(f"{source}/", url)
    if url.startswith("oci://"):
        repository, _, tag = url.rpartition(":")
        return _from_registry(repository, tag)[1]
    if not url.startswith("https://"):
        raise FleetError("its index names no https URL for the chart; ask its owner for one")
    content = https.get(url)
    digest = str(entry.get("digest") or "").removeprefix("sha256:")
    if digest and digest != _sha256(content):
        raise FleetError(
            f"{version}: sha256 is {_sha256(content)}, but its index has {digest}; find out which "
            "one is right before you go on"
        )
    return content


def _latest(wanted: str, found: Iterable[str]) -> str | None:
    helm = _helm()
    if helm is None:
        raise FleetError(
            f"helm finds the version for {wanted}; put it on PATH or run `make check-tools`"
        )
    try:
        return helm.latest(wanted, list(found))
    except CommandError as error:
        raise FleetError(f"version {wanted}: {error}") from None


def _helm() -> Helm | None:
    program = process.find_program("helm")
    return Helm(path=program) if program else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
