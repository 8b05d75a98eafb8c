"""Clusters that a change reaches in the same way, so that a report names each change once."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

from fleet.changes.impact import Change, ClusterImpact, Impact, Moment
from fleet.changes.object_changes import Kind
from fleet.inventory.finding import listed


@dataclasses.dataclass(frozen=True)
class Group:
    """Clusters with equal changes."""

    clusters: Sequence[ClusterImpact]

    @property
    def first(self) -> ClusterImpact:
        """Return one of the clusters, which stands for all."""
        return self.clusters[0]

    @property
    def names(self) -> str:
        """The names of the clusters; of many, only the first ones."""
        return listed([cluster.name for cluster in self.clusters])

    @property
    def environments(self) -> str:
        """The environments of the clusters."""
        return listed(sorted({cluster.environment for cluster in self.clusters}))


def groups(found: Impact) -> list[Group]:
    """Return all reached clusters in groups, in the order of their names."""
    by_changes: dict[object, list[ClusterImpact]] = {}
    for cluster in found.reached:
        key = dataclasses.replace(cluster, name="", environment="", file="", unknown=())
        by_changes.setdefault(key, []).append(cluster)
    return [Group(clusters) for clusters in by_changes.values()]


def counted(changes: Iterable[Change]) -> str:
    """Return how many changes of each kind there are: `1 added, 2 changed`; `-` without any."""
    counts = Counter(change.found.kind for change in changes)
    words = [f"{counts[kind]} {word}" for kind, word in _WORDS.items() if counts[kind]]
    return ", ".join(words) or "-"


_WORDS = {
    Kind.ADDED: "added",
    Kind.CHANGED: "changed",
    Kind.MOVED: "moved",
    Kind.REMOVED: "removed",
    Kind.RECREATED: "deleted and made again",
}


def at(changes: Iterable[Change], moment: Moment) -> list[Change]:
    """Return the changes that are live at a moment."""
    return [change for change in changes if change.moment is moment]


def summary(found: Impact) -> str:
    """Return the impact in one line."""
    reached, clusters = len(found.reached), len(found.clusters)
    if not reached:
        return f"reaches none of {clusters} clusters"
    changes = [change for cluster in found.clusters for change in cluster.changes]
    deleted = f"{found.deletions} deleted" if found.deletions else "nothing is deleted"
    count = counted(changes).replace("-", "no object changes")
    refused = sum(
        len(item.found.objects) for cluster in found.clusters for item in cluster.refusals
    )
    refusals = f"; policies would refuse {_objects(refused)}" if refused else ""
    return f"reaches {reached} of {clusters} clusters: {count}; {deleted}{refusals}"


def _objects(count: int) -> str:
    return f"{count} object{'s' if count > 1 else ''}"
