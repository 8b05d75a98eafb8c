"""The impact of a changed shared base on a fleet with many clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fleets
from fleet.changes.impact_groups import groups, summary
from fleet.kube import kustomize
from tests.inventory.support import commit, impact_of, shown
from tests.support import write

pytestmark = pytest.mark.slow
CLUSTERS = 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a committed checkout with many clusters in three environments."""
    fleets.make(tmp_path / "fleet", CLUSTERS)
    commit(tmp_path / "fleet")
    return tmp_path / "fleet"


def replace(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    write(root, {path: text.replace(old, new)})


def test_exactly_the_affected_clusters_are_named(root: Path) -> None:
    replace(root, "apps/app-16/overlays/prod/kustomization.yaml", "count: 3", "count: 4")
    found = impact_of(root)
    prod = sorted(f"prod-{index}" for index in range(CLUSTERS) if index % 3 == 2)
    assert [item.name for item in found.reached] == prod
    assert all(shown(item) == ["merge changed Deployment app-16/app-16"] for item in found.reached)
    (group,) = groups(found)
    assert [item.name for item in group.clusters] == prod
    (file,) = found.files
    assert (file.at_merge, file.environments) == (tuple(prod), ("prod",))
    assert summary(found) == "reaches 10 of 30 clusters: 10 changed; nothing is deleted"


def test_a_base_below_all_overlays_reaches_all_environments(root: Path) -> None:
    replace(root, "apps/app-15/base/deployment.yaml", "64Mi", "65Mi")
    found = impact_of(root)
    assert len(found.reached) == CLUSTERS
    (file,) = found.files
    assert file.environments == ("dev", "prod", "test")
    assert file.readers == tuple(
        f"apps/app-15/overlays/{environment}" for environment in ("dev", "prod", "test")
    )


def test_a_base_reaches_no_cluster_whose_overlay_overrides_it(root: Path) -> None:
    expected = fleets.change_base(root, CLUSTERS)
    assert [item.name for item in impact_of(root).reached] == expected
    assert len(expected) == CLUSTERS * 2 // 3


def test_a_removed_kustomization_takes_all_that_it_brought(root: Path) -> None:
    expected = fleets.remove_parent(root)
    for cluster in impact_of(root).reached:
        assert sorted(str(change.found.object) for change in cluster.deletions) == expected


@pytest.mark.usefixtures("no_builds")
def test_only_changed_folders_are_built(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both states share the cache, whatever the number of clusters."""
    impact_of(root)
    replace(root, "apps/app-15/base/deployment.yaml", "64Mi", "66Mi")
    built = []
    build = kustomize.build

    def counted(root: Path, path: str, *options: str) -> str:
        built.append(path)
        return build(root, path, *options)

    monkeypatch.setattr(kustomize, "build", counted)
    assert len(impact_of(root).reached) == CLUSTERS
    assert len(built) == len(fleets.ENVIRONMENTS)
