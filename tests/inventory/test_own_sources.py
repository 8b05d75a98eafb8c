"""The sources that are the repository itself, and those that are not known to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.flux_support import (
    URL,
    cluster_of,
    flux_kustomization,
    instance,
    names,
    source,
    sync,
    unknown,
)
from tests.support import config_map, definition, manifest

CLUSTER = {"clusters/a/flux-system/gotk-sync.yaml": sync("./clusters/a")}
APP = definition("apps", config_map("app", "apps"))
OTHER = "{kind: GitRepository, name: other}"
GENERATORS = "source.extensions.fluxcd.io/v1beta1"
REASON = "which is not known to be this repository"


def cluster_with(source_text: str, reference: str, more: str = "") -> Mapping[str, str]:
    """Return a cluster with a source, and a Kustomization that refers to one."""
    return {
        **CLUSTER,
        **APP,
        "clusters/a/source.yaml": source_text,
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps", reference, more),
    }


@pytest.mark.parametrize(
    "text",
    [
        source("other", URL),
        source("other", f"{URL}.git"),
        source("other", URL.replace("https://", "ssh://git@")),
        source("other", URL, ref="{name: refs/heads/main}"),
    ],
)
def test_a_source_of_the_same_content_is_the_repository(text: str, tmp_path: Path) -> None:
    with cluster_of(tmp_path, cluster_with(text, OTHER)) as cluster:
        assert (names(cluster), unknown(cluster)) == (["ConfigMap apps/app"], [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (source("other", "https://u:secret@b.example/x"), " (b.example/x refs/heads/main)"),
        (source("other", URL, ref="{branch: next}"), " (github.com/acme/fleet refs/heads/next)"),
        (source("other", URL, ref="{tag: v1}"), " (github.com/acme/fleet v1)"),
        ("", ""),
    ],
)
def test_another_source_is_named(text: str, shown: str, tmp_path: Path) -> None:
    with cluster_of(tmp_path, cluster_with(text, OTHER)) as cluster:
        assert names(cluster) == []
        assert unknown(cluster) == [
            "clusters/a: Kustomization flux-system/apps: applies ./apps of GitRepository "
            f"flux-system/other{shown}, {REASON}"
        ]
        assert cluster.build.is_complete


def test_a_source_that_another_path_brings(tmp_path: Path) -> None:
    files = {
        **cluster_with("", OTHER),
        "clusters/a/sources.yaml": flux_kustomization("sources", "./sources"),
        "sources/other.yaml": source("other", URL),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert (names(cluster), unknown(cluster)) == (["ConfigMap apps/app"], [])


def test_the_usual_source_without_a_sync(tmp_path: Path) -> None:
    files = {**APP, "clusters/a/apps.yaml": flux_kustomization("apps", "./apps")}
    with cluster_of(tmp_path, files) as cluster:
        assert names(cluster) == ["ConfigMap apps/app"]


def test_the_first_source_that_has_the_folder_without_a_sync(tmp_path: Path) -> None:
    charts = "{kind: OCIRepository, name: charts}"
    files = {
        **APP,
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps", OTHER),
        "clusters/a/charts.yaml": flux_kustomization("charts", "./", charts),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert names(cluster) == ["ConfigMap apps/app"]
        assert [line.split(" of ")[1] for line in unknown(cluster)] == [
            f"OCIRepository flux-system/charts, {REASON}"
        ]


def test_an_artifact_of_a_folder_of_the_repository(tmp_path: Path) -> None:
    own = "{kind: OCIRepository, name: flux-system}"
    files = {
        "k8s/clusters/a/flux.yaml": instance("./clusters/a"),
        "k8s/clusters/a/apps.yaml": flux_kustomization("apps", "./apps", own),
        **definition("k8s/apps", config_map("app", "apps")),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert names(cluster) == ["ConfigMap apps/app", "FluxInstance flux-system/flux"]
        (line,) = unknown(cluster)
        assert line.endswith(
            "FluxInstance flux-system/flux: installs Flux 2.x, which is in no file here"
        )


def test_another_cluster_and_a_path_that_only_the_cluster_knows(tmp_path: Path) -> None:
    remote = "  kubeConfig: {secretRef: {name: spoke}}\n"
    variable = "  postBuild: {substituteFrom: [{kind: Secret, name: a}]}\n"
    files = {
        **CLUSTER,
        **APP,
        "clusters/a/spoke.yaml": flux_kustomization("spoke", "./apps", more=remote),
        "clusters/a/all.yaml": flux_kustomization("all", "./all", more=variable),
        "all/ks.yaml": flux_kustomization("inner", "./${path}"),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert sorted(line.partition(": ")[2] for line in unknown(cluster)) == [
            "Kustomization flux-system/inner: has a path or a source that only the cluster knows",
            "Kustomization flux-system/spoke: is applied to another cluster, which "
            "spec.kubeConfig names",
        ]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    files = {**CLUSTER, "clusters/a/apps.yaml": flux_kustomization("apps", "./none")}
    with cluster_of(tmp_path, files) as cluster:
        (finding,) = cluster.build.findings
        assert finding.problem == "spec.path ./none does not exist for this cluster; correct it"


def test_a_config_map_of_a_path_beside_it(tmp_path: Path) -> None:
    takes = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n"
    facts = "data: {domain: a.example}\n"
    files = {
        **CLUSTER,
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps", more=takes),
        "clusters/a/facts.yaml": flux_kustomization("facts", "./facts"),
        "facts/facts.yaml": manifest("v1", "ConfigMap", "facts", "flux-system", facts),
        "apps/app.yaml": manifest(
            "v1", "ConfigMap", "app", "apps", "data: {host: 'x.${domain}'}\n"
        ),
    }
    with cluster_of(tmp_path, files) as cluster:
        (app,) = (built for built in cluster.objects if built.name == "app")
        assert app.manifest["data"] == {"host": "x.a.example"}


def test_an_encrypted_config_map_gives_no_values(tmp_path: Path) -> None:
    takes = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}\n"
    facts = "data: {domain: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: x}\n"
    files = {
        **CLUSTER,
        "clusters/a/apps.yaml": flux_kustomization("apps", "./apps", more=takes),
        "clusters/a/facts.yaml": manifest("v1", "ConfigMap", "facts", "flux-system", facts),
        "apps/app.yaml": manifest("v1", "ConfigMap", "app", "apps", "data: {host: '${domain}'}\n"),
    }
    with cluster_of(tmp_path, files) as cluster:
        (app,) = (built for built in cluster.objects if built.name == "app")
        assert app.manifest["data"] == {"host": "${domain}"}
        assert app.has_unknown_variables


def generator(*copies: str) -> str:
    """Return an ArtifactGenerator with one artifact, apps, which copies these."""
    listed = "".join(f"        - {copy}\n" for copy in copies)
    spec = (
        "spec:\n  sources: [{alias: repo, kind: GitRepository, name: flux-system}]\n"
        f"  artifacts:\n    - name: apps\n      copy:\n{listed}"
    )
    return manifest(GENERATORS, "ArtifactGenerator", "own", "flux-system", spec)


@pytest.mark.parametrize(
    ("path", "copies", "is_known"),
    [
        ("./staging", ("{from: '@repo/apps/**', to: '@artifact/'}",), True),
        ("./apps/staging", ("{from: '@repo/apps/', to: '@artifact/'}",), True),
        ("./apps/staging", ("{from: '@repo/**', to: '@artifact/'}",), True),
        (
            "./a/b",
            (
                "{from: '@repo/apps/staging/**', to: '@artifact/a/b/'}",
                "{from: '@repo/apps/base/**', to: '@artifact/a/base'}",
            ),
            True,
        ),
        # The base is not copied, or to another place, or without a file.
        ("./", ("{from: '@repo/apps/staging/**', to: '@artifact/'}",), False),
        (
            "./a/b",
            (
                "{from: '@repo/apps/staging/**', to: '@artifact/a/b/'}",
                "{from: '@repo/apps/base/**', to: '@artifact/base/'}",
            ),
            False,
        ),
        ("./staging", ("{from: '@repo/apps/**', to: '@artifact/', exclude: ['app.*']}",), False),
        ("./staging", ("{from: '@repo/apps/**', to: '@artifact/', exclude: ['*.md']}",), True),
        ("./staging", ("{from: '@repo/apps/*.yaml', to: '@artifact/'}",), False),
        ("./staging", ("{from: '@other/apps/**', to: '@artifact/'}",), False),
        (
            "./staging",
            (
                "{from: '@repo/apps/**', to: '@artifact/'}",
                "{from: '@repo/x.yaml', to: '@artifact/base/app.yaml', strategy: Merge}",
            ),
            False,
        ),
    ],
)
def test_an_artifact_that_a_generator_makes(
    path: str, copies: tuple[str, ...], is_known: bool, tmp_path: Path
) -> None:
    artifact = "{kind: ExternalArtifact, name: apps}"
    files = {
        **CLUSTER,
        "clusters/a/artifacts.yaml": generator(*copies),
        "clusters/a/apps.yaml": flux_kustomization("apps", path, artifact),
        "apps/staging/kustomization.yaml": "resources: [../base]\n",
        "apps/base/kustomization.yaml": "resources: [app.yaml]\n",
        "apps/base/app.yaml": config_map("app", "apps"),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert ("ConfigMap apps/app" in names(cluster)) == is_known
        line = (
            f"applies {path} of ExternalArtifact flux-system/apps, whose files are not known here"
        )
        wanted = f"clusters/a: Kustomization flux-system/apps: {line}"
        assert unknown(cluster) == ([] if is_known else [wanted])


def test_the_only_folder_in_a_folder_of_an_artifact(tmp_path: Path) -> None:
    artifact = "{kind: ExternalArtifact, name: apps}"
    files = {
        **CLUSTER,
        **APP,
        "clusters/a/artifacts.yaml": generator("{from: '@repo/apps/', to: '@artifact/x/'}"),
        "clusters/a/apps.yaml": flux_kustomization("apps", "./x", artifact),
    }
    with cluster_of(tmp_path, files) as cluster:
        assert "ConfigMap apps/app" in names(cluster)
