"""Resources from the network: named, and everything beside them is known."""

from __future__ import annotations

from pathlib import Path

from fleet.inventory import remote_resources
from tests.flux_support import cluster_of, flux_kustomization, names, unknown
from tests.support import config_map, kustomization, write

REMOTE = "https://example.com/crds.yaml"


def test_the_rest_of_a_folder_is_known(tmp_path: Path) -> None:
    files = {
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps"),
        "apps/kustomization.yaml": kustomization("../base"),
        "base/kustomization.yaml": kustomization(REMOTE, "app.yaml"),
        "base/app.yaml": config_map("app", "apps"),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert names(cluster) == ["ConfigMap apps/app"]
        assert unknown(cluster) == [
            f"base/kustomization.yaml: {REMOTE}: is remote, so it is not known here"
        ]
        assert cluster.build.is_complete


def test_all_lines_keep_their_numbers(tmp_path: Path) -> None:
    text = (
        f"resources:\n  - a.yaml\n  - '{REMOTE}' # pinned\n  - github.com/a/b?ref=v1\n  - b.yaml\n"
    )
    write(tmp_path, {"kustomization.yaml": text})
    assert remote_resources.take_out(tmp_path) == {
        "kustomization.yaml": [REMOTE, "github.com/a/b?ref=v1"]
    }
    left = (tmp_path / "kustomization.yaml").read_text()
    assert left == "resources:\n  - a.yaml\n  #\n  #\n  - b.yaml\n"


def test_what_is_not_alone_on_its_line_stays(tmp_path: Path) -> None:
    text = f"resources: [{REMOTE}]\n"
    files = {
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps"),
        "apps/kustomization.yaml": text,
    }
    with cluster_of(tmp_path, files) as cluster:
        (finding,) = cluster.build.findings
        assert finding.problem.startswith("is remote")
