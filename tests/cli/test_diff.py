"""`fleet diff`: its outputs and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inventory.support import commit
from tests.support import Run, config_map, definition, namespace, stack_file, with_manifests, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

BASE = "apps/podinfo/base/resource.yaml"
EDITED = config_map("podinfo", "common").replace("value", "other")


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a committed checkout with the stacks dev and prod; only dev has the namespace team."""
    with_manifests(checkout)
    both = "namespaces/common namespaces/team"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", infrastructure=both)})
    commit(checkout, definition("infrastructure/namespaces/team", namespace("team")))
    return checkout


def test_two_clusters(root: Path, fleet: Run) -> None:
    ended = fleet("diff", "dev", "prod", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    first, *rest = ended.out.splitlines()
    assert first.startswith("dev -> prod: 1 objects differ, ")
    assert rest == ["- Namespace team (only in dev, flux-system/infra)"]


def test_one_cluster_at_two_revisions(root: Path, fleet: Run) -> None:
    commit(root, {BASE: EDITED})
    ended = fleet("diff", "dev@HEAD~1..HEAD", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    first, *rest = ended.out.splitlines()
    assert first.startswith("dev before -> dev after: 1 objects differ, ")
    assert rest == [
        "~ ConfigMap common/podinfo (flux-system/apps)",
        "    data.key: value -> other",
    ]


def test_one_cluster_in_the_working_copy(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    for text in ("dev@", "dev@HEAD"):
        assert "data.key: value -> other" in fleet("diff", text, "--root", root).out


def test_json(root: Path, fleet: Run) -> None:
    write(root, {BASE: EDITED})
    ended = fleet("diff", "dev@", "--root", root, "--json")
    found = json.loads(ended.out)
    assert set(found) == {"a", "b", "objects", "equal", "problems"}
    assert found["objects"] == [
        {
            "object": {
                "group": "",
                "kind": "ConfigMap",
                "namespace": "common",
                "name": "podinfo",
            },
            "kustomizationA": "flux-system/apps",
            "kustomizationB": "flux-system/apps",
            "fields": [{"path": "data.key", "before": "value", "after": "other"}],
        }
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["dev"], "dev: is one cluster; name another one, or write dev@main..HEAD"),
        (
            ["dev@main", "prod"],
            "dev@main prod: a revision is for one cluster; write dev@main..HEAD",
        ),
        (["dev", "prd"], "prd: is no cluster here; near names: prod"),
    ],
)
def test_wrong_names(args: list[str], said: str, root: Path, fleet: Run) -> None:
    ended = fleet("diff", *args, "--root", root)
    assert (ended.code, ended.out, ended.err) == (1, "", f"{said}\n")
