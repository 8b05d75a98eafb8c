"""HelmReleases as the real helm and kustomize render them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import cache
from fleet.helm.charts import Cluster
from fleet.helm.renderer import Renderer, release_name, release_namespace
from tests.helm.support import (
    CONFIG_MAP,
    CRD,
    KUBERNETES,
    Repository,
    chart,
    held,
    names,
    packaged,
    release,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

LABELS = {"helm.toolkit.fluxcd.io/name": "demo", "helm.toolkit.fluxcd.io/namespace": "apps"}
HOOK = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}
---
apiVersion: v1
kind: Pod
metadata: {name: test, annotations: {helm.sh/hook: test}}
"""
NAMES = st.text("abc-", min_size=1, max_size=63)


def test_a_chart_of_the_repository(repository: Repository) -> None:
    repository.write(chart())
    rendering = repository.render(release(targetNamespace="shop", values={"colour": "red"}))
    (found,) = rendering.objects
    assert found["metadata"] == {"name": "shop-demo", "labels": LABELS}
    assert found["data"] == {
        "values": '{"colour":"red","size":1}',
        "namespace": "shop",
        "chart": "1.2.0",
    }
    assert (rendering.namespace, rendering.unknown, rendering.uses_secrets) == ("shop", (), False)


@given(NAMES, st.none() | NAMES, st.none() | NAMES)
def test_release_names(name: str, target: str | None, given_name: str | None) -> None:
    made = {**release(targetNamespace=target, releaseName=given_name)}
    made["metadata"] = {"name": name, "namespace": "apps"}
    whole = given_name or (f"{target}-{name}" if target else name)
    found = release_name(made)
    assert len(found) <= 53
    if len(whole) <= 53:
        assert found == whole
    else:
        assert found == f"{whole[:40]}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    assert release_namespace(made) == (target or "apps")


def test_a_long_release_name() -> None:
    """The name is the one that helm-controller gives this release."""
    name = "release-name-with-very-long-name-which-is-longer-than-53-characters"
    expected = "release-name-with-very-long-name-which-i-788ca0d0d7b0"
    assert release_name(release(releaseName=name)) == expected


def test_hooks_and_tests_are_left_out(repository: Repository) -> None:
    repository.write(chart({"templates/hook.yaml": HOOK, "templates/NOTES.txt": "hello"}))
    assert names(repository.render(release())) == ["ConfigMap demo"]


@pytest.mark.parametrize(
    ("policies", "has_crd"),
    [
        ({}, True),
        ({"install": {"crds": "Skip"}, "upgrade": {"crds": "Skip"}}, False),
        ({"install": {"crds": "Skip"}, "upgrade": {"crds": "CreateReplace"}}, True),
    ],
)
def test_crd_policies(repository: Repository, policies: dict[str, object], has_crd: bool) -> None:
    random = "apiVersion: v1\nkind: Secret\nmetadata: {name: random}\ndata: {a: {{ randAlpha 9 }}}"
    # A file of CRDs can have any comment and any other object.
    crds = f"# Source: demo/templates/config-map.yaml\n{CRD}---\n{HOOK}"
    repository.write(chart({"crds/crds.yaml": crds, "templates/random.yaml": random}))
    found = repository.render(release(policies))
    crd = ["CustomResourceDefinition widgets.example.com"] if has_crd else []
    assert names(found) == [*crd, "ConfigMap demo", "Secret random"]
    assert all(made["metadata"]["labels"] == LABELS for made in found.objects)


@pytest.mark.parametrize(("is_on", "count"), [(True, 1), (False, 0)])
def test_the_crds_of_a_packed_subchart(repository: Repository, is_on: bool, count: int) -> None:
    metadata = (
        "apiVersion: v2\nname: demo\nversion: 1.2.0\n"
        "dependencies: [{name: child, version: 1.x, condition: child.on}]\n"
    )
    child = {"Chart.yaml": b"apiVersion: v2\nname: child\nversion: 1.0.0\n"}
    packed = packaged({**child, "crds/crd.yaml": CRD.encode()})
    repository.write({**chart({"Chart.yaml": metadata}), "charts/child-1.0.0.tgz": packed})
    found = names(repository.render(release(values={"child": {"on": is_on}})))
    crd = ["CustomResourceDefinition widgets.example.com"]
    assert found == [*(crd * count), "ConfigMap demo"]


def test_post_renderers_come_before_common_metadata(repository: Repository) -> None:
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {tier: chart}}\n"
        "spec: {template: {spec: {containers: [{name: web, image: 'web:1'}]}}}\n"
    )
    repository.write(chart({"templates/config-map.yaml": deployment}))
    patch = '[{"op": "replace", "path": "/metadata/labels/tier", "value": "patch"}]'
    renderers = [
        {"kustomize": {"patches": [{"patch": patch, "target": {"kind": "Deployment"}}]}},
        {"kustomize": {"images": [{"name": "web", "newName": "mirror/web", "newTag": "2"}]}},
    ]
    common = {
        "labels": {"team": "a", "helm.toolkit.fluxcd.io/name": "x"},
        "annotations": {"b": "c"},
    }
    (found,) = repository.render(release(postRenderers=renderers, commonMetadata=common)).objects
    assert found["metadata"]["labels"] == {"tier": "patch", "team": "a", **LABELS}
    assert found["metadata"]["annotations"] == {"b": "c"}
    template = found["spec"]["template"]
    assert template == {"spec": {"containers": [{"name": "web", "image": "mirror/web:2"}]}}


def test_a_patch_of_a_hook_needs_the_default_strategy(repository: Repository) -> None:
    repository.write(chart({"templates/hook.yaml": HOOK}))
    patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook}\ndata: {a: b}\n"
    renderers = [{"kustomize": {"patches": [{"patch": patch}]}}]
    assert names(repository.render(release(postRenderers=renderers))) == ["ConfigMap demo"]
    without = repository.render(release(postRenderers=renderers, postRenderStrategy="nohooks"))
    assert without.problem is not None and "hook" in without.problem


def test_the_apis_of_the_cluster(repository: Repository) -> None:
    template = (
        CONFIG_MAP + "  kube: {{ .Capabilities.KubeVersion.Version }}\n"
        '  has: {{ .Capabilities.APIVersions.Has "example.com/v1/Widget" | quote }}\n'
        '  found: {{ lookup "v1" "Namespace" "" "" | toJson | quote }}\n'
    )
    repository.write(chart({"templates/config-map.yaml": template}))
    (before,) = repository.render(release()).objects
    assert (before["data"]["has"], before["data"]["found"]) == ("false", "{}")
    assert before["data"]["kube"] == KUBERNETES
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Widget"},
            "versions": [{"name": "v1", "served": True}],
        },
    }
    (after,) = repository.render(release(), [crd]).objects
    assert after["data"]["has"] == "true"


def test_nothing_of_this_machine_reaches_helm(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugins" / "x"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(
        f"name: x\nversion: 1.0.0\nplatformCommand: [{{command: touch {tmp_path}/ran}}]\n"
    )
    monkeypatch.setenv("HELM_PLUGINS", str(tmp_path / "plugins"))
    monkeypatch.setenv("HELM_NAMESPACE", "ambient")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    repository.write(chart({"templates/env.yaml": '{{ getHostByName "example.com" }}'}))
    rendering = repository.render(release())
    assert names(rendering) == ["ConfigMap demo"]
    assert rendering.objects[0]["data"]["namespace"] == "apps"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"templates/bad.yaml": '{{ fail "no size" }}'}, "no size"),
        (
            {
                "Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.2.0\n"
                "dependencies: [{name: other, version: 1.x, repository: 'https://example.com'}]\n"
            },
            "missing in charts/ directory: other",
        ),
        (
            {"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.2.0\nkubeVersion: '<1.20'\n"},
            "chart requires kubeVersion: <1.20",
        ),
        ({"templates/bad.yaml": "a: {"}, "YAML parse error on demo/templates/bad.yaml"),
    ],
)
def test_a_chart_that_helm_refuses(
    repository: Repository, more: dict[str, str], problem: str
) -> None:
    repository.write(chart(more))
    rendering = repository.render(release())
    assert rendering.objects == () and rendering.problem is not None
    assert problem in rendering.problem and "\n" not in rendering.problem
    assert "fleet-helm-" not in rendering.problem


def test_without_helm(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write(chart())
    monkeypatch.setenv("PATH", "")
    rendering = repository.render(release())
    assert rendering.problem == "helm: not found; put it on PATH or run `make check-tools`"


def test_a_release_in_another_cluster(repository: Repository) -> None:
    found = repository.render(release(kubeConfig={"secretRef": {"name": "other"}}))
    assert found.problem == "spec.kubeConfig installs it in another cluster"


@pytest.mark.parametrize("name", ["--post-renderer=/bin/sh", "-x", "a b", "A", ".", "a\n"])
def test_a_name_that_is_no_name_never_reaches_helm(repository: Repository, name: str) -> None:
    repository.write(chart())
    found = repository.render(release(releaseName=name)).problem
    assert found == f"{name!r} is no name of a release; correct spec.releaseName"


@pytest.mark.parametrize(
    ("target", "is_asked", "expected"),
    [("shop", True, True), ("shop", False, False), (None, True, False)],
)
def test_the_namespace_that_helm_creates(
    repository: Repository, target: str | None, is_asked: bool, expected: bool
) -> None:
    repository.write(chart())
    made = release(targetNamespace=target, install={"createNamespace": is_asked})
    assert repository.render(made).creates_namespace is expected


def test_equal_releases_are_rendered_once(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(chart())
    renderer = Renderer(repository.root, repository.root, KUBERNETES)
    first = renderer.render(release(), Cluster([]))
    assert renderer.render(release(), Cluster([held("ConfigMap", {})])).objects is first.objects
    (kept,) = (cache.directory() / "helm-releases").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr("fleet.helm.program.Helm._run", None)
    assert repository.render(release()) == first


def test_a_changed_chart_is_rendered_again(repository: Repository) -> None:
    repository.write(chart())
    (first,) = repository.render(release()).objects
    repository.write(chart(version="1.3.0"))
    (second,) = repository.render(release()).objects
    assert (first["data"]["chart"], second["data"]["chart"]) == ("1.2.0", "1.3.0")


def test_a_damaged_result_is_made_again(repository: Repository) -> None:
    repository.write(chart())
    first = repository.render(release())
    (kept,) = (cache.directory() / "helm-releases").iterdir()
    kept.write_text("[")
    assert repository.render(release()) == first


def test_a_chart_that_renders_nothing(repository: Repository) -> None:
    repository.write(chart({"templates/config-map.yaml": "{{ if .Values.on }}a: b{{ end }}"}))
    assert names(repository.render(release())) == []
