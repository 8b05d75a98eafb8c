"""The matrix of a fleet."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fleets
from fleet.errors import FleetError
from fleet.questions import matrix, names, where
from fleet.questions.matrix import Row
from fleet.questions.things import ThingType
from tests.questions.support import things_of
from tests.support import REPOSITORY, definition, kustomization, manifest, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow


def rows_of(root: Path, kind: str | None = None) -> dict[str, Row]:
    """Return the rows by type and name."""
    with things_of(root) as things:
        found = matrix.rows(things, kind)
        return {f"{row.thing.type.value} {row.thing.name}": row for row in found}


def texts(row: Row) -> list[str]:
    """Return the cells of a row in the order of the clusters."""
    return [row.texts[name] for name in sorted(row.texts)]


def test_the_shipped_repository() -> None:
    rows = rows_of(REPOSITORY)
    assert texts(rows["app podinfo"]) == ["replicas 1", "replicas 3", "replicas 2"]
    assert texts(rows["app foo-app"]) == ["replicas 1"]
    assert not rows["app foo-app"].is_everywhere
    assert texts(rows["policy require-pod-resources"]) == ["action Audit"] * 3
    assert texts(rows["policy require-pod-resources-enforced"]) == ["action Deny"]
    assert list(rows["policy require-pod-resources-enforced"].cells) == ["prod"]
    assert rows["namespace kyverno"].common == "infrastructure/namespaces/common"
    assert rows["namespace foo"].common is None
    assert rows["controller kyverno"].is_same
    assert not any(row.thing.type is ThingType.OBJECT for row in rows.values())


def test_the_objects_of_a_kind_in_any_case() -> None:
    rows = rows_of(REPOSITORY, "deployment")
    assert texts(rows["object Deployment/team-x/podinfo"]) == [
        "replicas 1",
        "replicas 3",
        "replicas 2",
    ]
    assert all(row.thing.name.startswith("Deployment/") for row in rows.values())


def test_a_kind_that_no_cluster_has() -> None:
    with pytest.raises(FleetError) as refused:
        rows_of(REPOSITORY, "Deploymet")
    assert str(refused.value) == (
        "--kind Deploymet: no cluster has an object of this kind; kinds: Deployment"
    )


def test_cells_that_only_differ_in_other_fields(checkout: Path) -> None:
    listing = f"{kustomization('../../base')}commonLabels: {{a: b}}\n"
    write(checkout, {"apps/podinfo/overlays/prod/kustomization.yaml": listing})
    row = rows_of(checkout)["app podinfo"]
    assert texts(row) == ["yes (variant 1)", "yes (variant 2)"]
    assert not row.is_same


def test_an_object_of_another_name_is_another_variant(checkout: Path) -> None:
    workload = manifest("apps/v1", "StatefulSet", "db", "common", "spec: {replicas: 2}\n")
    write(checkout, definition("apps/podinfo/base", workload))
    listing = f"{kustomization('../../base')}namePrefix: a-\n"
    write(checkout, {"apps/podinfo/overlays/prod/kustomization.yaml": listing})
    row = rows_of(checkout)["app podinfo"]
    assert texts(row) == ["replicas 2 (variant 1)", "replicas 2 (variant 2)"]


def test_a_fleet_of_thirty_clusters(tmp_path: Path) -> None:
    fleets.make(tmp_path / "fleet", 30)
    with things_of(tmp_path / "fleet") as things:
        apps = [r for r in matrix.rows(things, None) if r.thing.type is ThingType.APP]
        rows = {row.thing.name: row for row in apps}
        environments = matrix.columns(things.fleet, [matrix.ENVIRONMENT])
        heads = list(environments)
        (app,) = [t for t in names.fitting(things, "app-15") if t.type is ThingType.APP]
        found = where.where(things, app)
    assert {name: len(clusters) for name, clusters in environments.items()} == {
        "dev": 10,
        "prod": 10,
        "test": 10,
    }
    shared = matrix.by_column(rows["app-01"], environments.values(), heads)
    assert shared == dict.fromkeys(heads, "replicas 1")
    own = matrix.by_column(rows["app-15"], environments.values(), heads)
    assert own == {"dev": "replicas 1", "test": "replicas 2", "prod": "replicas 3"}
    assert len(found.places) == 30


def test_an_environment_whose_clusters_differ(checkout: Path) -> None:
    row = rows_of(checkout)["app podinfo"]
    found = matrix.by_column(row, [["dev", "prod", "other"]], ["all (3)"])
    assert found == {"all (3)": "2: yes; 1: -"}
