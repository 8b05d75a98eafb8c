"""The charts at hand: those of this repository, and those that `fleet fetch` put in the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from fleet import cache
from fleet.helm import chart_files, versions
from fleet.helm.chart_lock import Lock, Locked
from fleet.helm.charts import Chart, NotRenderedError, Pin


@dataclass(frozen=True, kw_only=True)
class StoredChart:
    """A chart at hand. `key` changes with its content, `metadata` is for its version's build part.

    `revision` is what its version resolved to, empty for a chart of this repository.
    """

    chart: Chart
    key: str
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class ChartStore:
    """The charts of a copy of a repository and of its lock."""

    copy: Path
    lock: Lock
    # Many clusters ask for the same charts of the copy, which stays as it is.
    _own_keys: dict[Chart, str] = field(default_factory=dict, init=False)

    def find(self, chart: Chart) -> StoredChart:
        """Return a chart at hand, without reading a downloaded one. Raises NotRenderedError."""
        if chart.pin is None:
            if chart not in self._own_keys:
                self._own_keys[chart] = chart_files.digest(self._own_tree(chart))
            return StoredChart(chart=chart, key=self._own_keys[chart])
        locked = self._locked(chart, chart.pin)
        if not cache.download(locked.sha256).is_file():
            raise NotRenderedError(f"{chart.pin} is not in the cache; run `fleet fetch`")
        return StoredChart(chart=chart, key=locked.sha256, revision=locked.resolved)

    def _locked(self, chart: Chart, pin: Pin) -> Locked:
        if (locked := self.lock.get(pin)) is not None:
            return locked
        if chart.private:
            raise NotRenderedError(f"{pin} cannot be fetched: {chart.private}")
        raise NotRenderedError(f"{pin} is not in charts.lock.yaml; run `fleet fetch`")

    def tree(self, stored: StoredChart) -> chart_files.Files:
        """Return the files of a chart's source, or of the chart if the source is one.

        Raises NotRenderedError when a download has another checksum than the lock.
        """
        pin = stored.chart.pin
        if pin is None:
            return self._own_tree(stored.chart)
        content = cache.download(stored.key).read_bytes()
        if (found := hashlib.sha256(content).hexdigest()) != stored.key:
            raise NotRenderedError(
                f"{pin}: sha256 in the cache is {found}, but charts.lock.yaml has {stored.key}; "
                "run `fleet fetch`"
            )
        if stored.chart.kind == "GitRepository":
            return chart_files.unpacked(content)
        return chart_files.of_archive(content)

    def _own_tree(self, chart: Chart) -> chart_files.Files:
        paths = (chart.path, *chart.values_files)
        tree = chart_files.folder_tree(self.copy, paths)
        if not chart_files.of_git(tree, chart.path):
            raise NotRenderedError(f"the folder {chart.path} of the chart does not exist")
        return tree


def version_metadata(stored: StoredChart) -> str:
    """Return the build metadata that Flux gives the version of a chart, empty for none."""
    chart = stored.chart
    if chart.kind == "OCIRepository":
        return stored.revision.rpartition(":")[2][:12]
    parts = []
    if chart.follows_revision and chart.kind == "GitRepository":
        parts.append(stored.revision[:12])
    if chart.values_files:
        # Flux counts the changes of the HelmChart, and a new one has this number.
        parts.append("1")
    return ".".join(part for part in parts if part)


def tag_problem(stored: StoredChart, chart_version: str) -> str | None:
    """Return the reason why helm-controller refuses a chart under its tag, None if it does not."""
    if stored.chart.kind != "OCIRepository":
        return None
    tag = stored.revision.partition("@")[0].replace("_", "+")
    tagged = versions.parse(tag)
    if tagged is None or tagged == versions.parse(chart_version):
        return None
    return f"its tag {tag} differs from its version {chart_version}, which Flux refuses"
