"""The clusters of Flux repositories that fleet did not make, found in their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.inventory import entrypoints
from fleet.inventory.entrypoints import Entrypoint
from tests.flux_support import (
    BOOTSTRAPPED,
    fleet_of,
    flux_kustomization,
    instance,
    names,
    sync,
)
from tests.support import config_map, kustomization, manifest, write

HELM_VALUES = "instance:\n  sync: {kind: GitRepository, url: 'https://a/b', path: flux/cluster}\n"
RELEASE = manifest(
    "helm.toolkit.fluxcd.io/v2",
    "HelmRelease",
    "flux-instance",
    "flux-system",
    "spec:\n  values:\n    "
    + HELM_VALUES.replace("\n  ", "\n      ").replace("instance", "instance", 1),
)
APPS = flux_kustomization("apps", "./apps")
# By shape: the files, and the path of each cluster by its name.
SHAPES: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "bootstrap": (
        BOOTSTRAPPED,
        {"production": "clusters/production", "staging": "clusters/staging"},
    ),
    "a bootstrap of the root": ({"flux-system/gotk-sync.yaml": sync("./")}, {".": "."}),
    "a sync in a folder of any name": (
        {"k8s/flux/sync.yaml": sync("./k8s/flux"), "k8s/apps/ks.yaml": APPS},
        {"k8s/flux": "k8s/flux"},
    ),
    "no sync in the tree": (
        {
            "clusters/eu/prod/apps.yaml": APPS,
            "clusters/us/prod/apps.yaml": APPS,
            "apps/ks.yaml": flux_kustomization("more", "./more"),
            "apps/kustomization.yaml": kustomization("ks.yaml"),
        },
        {"eu/prod": "clusters/eu/prod", "us/prod": "clusters/us/prod"},
    ),
    "Kustomizations in folders below that of a cluster": (
        {
            "clusters/dev/flux-system/gotk-sync.yaml": "# written by bootstrap\n",
            "clusters/dev/apps/ks.yaml": APPS,
            "clusters/dev/infra/ks.yaml": APPS,
        },
        {"dev": "clusters/dev"},
    ),
    "a kustomization that lists them": (
        {
            "k8s/all/kustomization.yaml": kustomization("../a/ks.yaml", "../b"),
            "k8s/a/ks.yaml": flux_kustomization("a", "./x"),
            "k8s/b/kustomization.yaml": kustomization("ks.yaml"),
            "k8s/b/ks.yaml": flux_kustomization("b", "./x"),
        },
        {"k8s/all": "k8s/all"},
    ),
    "some clusters with a sync": (
        {
            "clusters/a/flux-system/gotk-sync.yaml": sync("./clusters/a"),
            "clusters/b/apps.yaml": APPS,
            "archive/old/apps.yaml": APPS,
        },
        {"a": "clusters/a", "b": "clusters/b"},
    ),
    "an instance of the operator": (
        {"clusters/a/flux-system/flux.yaml": instance("clusters/a"), "clusters/a/ks.yaml": APPS},
        {"a": "clusters/a"},
    ),
    "a HelmRelease of an instance": (
        {"apps/flux/release.yaml": RELEASE, "flux/cluster/ks.yaml": APPS},
        {"flux/cluster": "flux/cluster"},
    ),
    "values of an instance": (
        {"apps/flux/values.yaml": HELM_VALUES, "flux/cluster/ks.yaml": APPS},
        {"flux/cluster": "flux/cluster"},
    ),
    "an artifact of a folder": (
        {
            "k8s/clusters/a/flux.yaml": instance("./clusters/a"),
            "k8s/clusters/a/ks.yaml": flux_kustomization(
                "apps", "./apps", "{kind: OCIRepository, name: flux-system}"
            ),
        },
        {"a": "k8s/clusters/a"},
    ),
    "no folder of a cluster that is hidden": (
        {"hub/flux-system/x.yaml": "a: b\n", "hub/ks.yaml": APPS, ".archive/ks.yaml": APPS},
        {"hub": "hub"},
    ),
}


def found_in(root: Path, files: Mapping[str, str]) -> Mapping[str, Entrypoint]:
    """Return the entrypoints of a repository with these files, by the names of their clusters."""
    write(root, files)
    return entrypoints.by_name(entrypoints.find(root.resolve()))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_clusters_of_a_shape(shape: str, tmp_path: Path) -> None:
    files, wanted = SHAPES[shape]
    found = found_in(tmp_path, {**files, "apps/app.yaml": "a: b\n"})
    assert {name: entrypoint.path for name, entrypoint in found.items()} == wanted


def test_an_artifact_of_a_folder_has_a_base(tmp_path: Path) -> None:
    files, _ = SHAPES["an artifact of a folder"]
    assert found_in(tmp_path, files)["a"].base == "k8s"


def test_an_app_that_applies_its_own_folder_is_no_cluster(tmp_path: Path) -> None:
    app = flux_kustomization("podinfo", "./apps/podinfo")
    found = found_in(tmp_path, {"apps/podinfo/ks.yaml": app, "clusters/dev/apps.yaml": APPS})
    assert list(found) == ["dev"]


def test_a_kustomization_of_another_repository_is_no_cluster(tmp_path: Path) -> None:
    other = flux_kustomization("charts", "./", "{kind: OCIRepository, name: charts}")
    found = found_in(tmp_path, {**BOOTSTRAPPED, "infra/charts.yaml": other})
    assert sorted(found) == ["production", "staging"]


@pytest.mark.parametrize("text", ["{{ template }}\nkind: Kustomization\n", "kind: Kustomization\n"])
def test_files_that_are_no_manifests(text: str, tmp_path: Path) -> None:
    assert sorted(found_in(tmp_path, {**BOOTSTRAPPED, "clusters/x/ks.yaml": text})) == [
        "production",
        "staging",
    ]


@pytest.mark.parametrize(
    ("path", "environment"),
    [
        ("clusters/prod-eu", "prod"),
        ("clusters/eu/staging", "staging"),
        ("clusters/production", "production"),
        ("clusters/products", "products"),
        ("k8s/home", "k8s/home"),
    ],
)
def test_environments(path: str, environment: str) -> None:
    assert Entrypoint(path=path).environment == environment


def test_clusters_of_one_name_have_their_paths(tmp_path: Path) -> None:
    files = {f"{folder}/clusters/main/ks.yaml": APPS for folder in ("a", "b")}
    assert list(found_in(tmp_path, files)) == ["a/clusters/main", "b/clusters/main"]


def test_the_objects_of_bootstrapped_clusters(tmp_path: Path) -> None:
    with fleet_of(tmp_path, BOOTSTRAPPED) as fleet:
        assert list(fleet.clusters) == ["production", "staging"]
        for cluster in fleet.clusters.values():
            assert names(cluster) == ["ConfigMap apps/app"]
            assert not cluster.problems
            (app,) = (built for built in cluster.objects if built.kind == "ConfigMap")
            assert app.applied_by == "flux-system/apps"
            assert app.metadata["annotations"] == {"cluster": cluster.name}
            assert cluster.stack is None


def test_a_sync_that_its_own_folder_patches(tmp_path: Path) -> None:
    patch = (
        "patches:\n  - target: {kind: Kustomization, name: flux-system}\n    patch: |\n"
        "      - {op: add, path: /spec/postBuild, value: {substitute: {domain: a.example}}}\n"
    )
    files = {
        "clusters/a/kustomization.yaml": kustomization("sync.yaml", "app.yaml") + patch,
        "clusters/a/sync.yaml": sync("./clusters/a"),
        "clusters/a/app.yaml": manifest("v1", "ConfigMap", "a", "apps", "data: {x: '${domain}'}\n"),
    }
    with fleet_of(tmp_path, files) as fleet:
        objects = fleet.clusters["a"].objects
        (app,) = (built for built in objects if built.kind == "ConfigMap")
        assert app.manifest["data"] == {"x": "a.example"}
        assert len(objects) == 3


def test_an_instance_that_patches_its_sync(tmp_path: Path) -> None:
    patch = (
        "  kustomize:\n    patches:\n      - target: {kind: Kustomization, name: flux-system}\n"
        "        patch: |\n          - op: add\n            path: /spec/postBuild\n"
        "            value: {substitute: {domain: a.example}}\n"
        "      - target: {kind: Deployment}\n        patch: '{}'\n"
    )
    files = {
        "clusters/a/flux.yaml": instance("clusters/a", patch),
        "clusters/a/app.yaml": manifest("v1", "ConfigMap", "a", "apps", "data: {x: '${domain}'}\n"),
    }
    with fleet_of(tmp_path, files) as fleet:
        objects = fleet.clusters["a"].objects
        (app,) = (built for built in objects if built.kind == "ConfigMap")
        assert app.manifest["data"] == {"x": "a.example"}
        assert app.is_pruned


def test_no_flux_and_no_stack_files(tmp_path: Path) -> None:
    write(tmp_path, {"deploy/app.yaml": config_map("a", "b"), "Pulumi.yaml": "name: other\n"})
    with pytest.raises(FleetError, match=r"has no Pulumi.<stack>.yaml of fleet, and no"):
        fleet_of(tmp_path).__enter__()


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="is no folder; name a checkout"):
        fleet_of(tmp_path / "missing").__enter__()
