"""The objects that HelmReleases bring: in the model, in chains and in the impact of a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleet import cache
from fleet.inventory import model
from fleet.questions import names, where
from fleet.questions.aspects import Aspect
from fleet.questions.things import ThingType
from tests.changes.test_impact import reached
from tests.check.support import flux_kustomization
from tests.helm.support import CRD
from tests.inventory.support import cluster, commit, impact_of, install_manifests, notes, sources
from tests.questions.support import chain, shown, things_of
from tests.support import (
    config_map,
    definition,
    kustomization,
    manifest,
    namespace,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.size }}
  template:
    spec:
      containers: [{name: web, image: "web:{{ .Chart.AppVersion }}"}]
"""
ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web}
"""
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nappVersion: '7'\n",
    "charts/web/values.yaml": "size: 1\n",
    "charts/web/templates/deployment.yaml": DEPLOYMENT,
    "charts/web/templates/role.yaml": ROLE,
    "charts/web/crds/widgets.yaml": CRD,
}
RELEASE = """\
  interval: 1h
  targetNamespace: web
  chart:
    spec:
      chart: ./charts/web
      sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}
"""
FILE = "apps/web/resource.yaml"


def release(size: int = 2, more: str = "") -> str:
    """Return the namespace and the HelmRelease of the app."""
    spec = f"{RELEASE}  values: {{size: {size}}}\n{more}"
    made = manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", "web", "web", f"spec:\n{spec}")
    return f"{namespace('web')}---\n{made}"


@pytest.fixture
def root(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a committed checkout whose cluster dev has a HelmRelease of a chart beside it."""
    monkeypatch.setenv("PATH", f"{cache.programs()}{os.pathsep}{os.environ['PATH']}")
    write(checkout, {**CHART, **definition("apps/web", release())})
    commit(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="web")})
    return checkout


def test_the_objects_of_a_release(root: Path) -> None:
    with model.of_checkout(root, install_manifests, lambda _: None) as fleet:
        dev = fleet.clusters["dev"]
        found = {built.display_name: built for built in dev.objects if built.is_released}
    assert list(found) == [
        "CustomResourceDefinition widgets.example.com",
        "ClusterRole web",
        "Deployment web/web",
    ]
    deployment = found["Deployment web/web"]
    assert deployment.manifest["spec"]["replicas"] == 2
    assert deployment.applied_by == "HelmRelease web/web"
    assert [built.is_pruned for built in found.values()] == [False, True, True]
    assert list(dev.problems) == []


def test_a_namespace_that_helm_creates(root: Path) -> None:
    text = release(more="  install: {createNamespace: true}\n")
    write(
        root, definition("apps/web", text.replace("targetNamespace: web", "targetNamespace: new"))
    )
    with model.of_checkout(root, install_manifests, lambda _: None) as fleet:
        found = [built.display_name for built in fleet.clusters["dev"].objects]
    assert "Namespace new" in found
    assert "Deployment new/new-web" not in found  # The chart itself names its objects.
    assert "Deployment new/web" in found


def test_the_chain_of_an_object_of_a_release(root: Path) -> None:
    lines = shown(chain(root, "dev", "Deployment/web/web"))
    assert lines[0] == "Pulumi.dev.yaml:4 fleet:apps lists web"
    assert lines[-4:] == [
        f"{FILE}:6 HelmRelease web/web",
        f"{FILE}:18 values.size",
        "  spec.replicas: 1 -> 2",
        f"{FILE}:6 HelmRelease web/web renders Deployment web/web from chart ./charts/web",
    ]


def test_the_values_of_an_overlay_and_of_a_config_map(root: Path) -> None:
    text = release(more="  valuesFrom: [{kind: ConfigMap, name: values}]\n")
    values = manifest("v1", "ConfigMap", "values", "web", "data: {values.yaml: 'needed: yes'}\n")
    patch = "patches:\n- target: {kind: HelmRelease}\n  patch: |\n    - op: add\n"
    patch += "      path: /spec/values/size\n      value: 5\n"
    needed = f'{{{{ required "it" .Values.needed | toString | trunc 0 }}}}{ROLE}'
    write(
        root,
        {
            **definition("apps/web/base", f"{text}---\n{values}"),
            "apps/web/kustomization.yaml": kustomization("base") + patch,
            "charts/web/templates/role.yaml": needed,
        },
    )
    (root / FILE).unlink()
    base = "apps/web/base/resource.yaml"
    rendering = "HelmRelease web/web renders Deployment web/web from chart ./charts/web"
    assert shown(chain(root, "dev", "Deployment/web/web"))[-5:] == [
        f"{base}:6 HelmRelease web/web",
        f"{base}:19 valuesFrom[0], without which helm makes no such object",
        "apps/web/kustomization.yaml:6 values.size",
        "  spec.replicas: 1 -> 5",
        f"{base}:6 {rendering}",
    ]


def test_a_release_is_a_part_of_its_app(root: Path) -> None:
    with things_of(root) as things:
        presence = things.of_cluster(things.fleet.clusters["dev"])
        (app,) = [found for name, found in presence.of_type(ThingType.APP).items() if name == "web"]
    assert "Deployment web/web" in [built.display_name for built in app]


def test_a_changed_value(root: Path) -> None:
    write(root, definition("apps/web", release(size=3)))
    found = impact_of(root)
    assert reached(found) == {
        "dev": ["merge changed HelmRelease web/web", "merge changed Deployment web/web"]
    }
    deployment = cluster(found).changes[1]
    assert [str(field) for field in deployment.found.fields] == ["spec.replicas: 2 -> 3"]
    assert sources(deployment) == [f"{FILE}:18"]
    assert deployment.found.kustomization == "HelmRelease web/web"


def test_a_changed_chart_of_this_repository(root: Path) -> None:
    write(root, {"charts/web/templates/deployment.yaml": DEPLOYMENT.replace("web:", "site:")})
    found = impact_of(root)
    assert reached(found) == {"dev": ["merge changed Deployment web/web"]}
    assert sources(cluster(found).changes[0]) == ["charts/web/templates/deployment.yaml:8"]


def test_a_removed_release(root: Path) -> None:
    write(root, definition("apps/web", namespace("web")))
    found = impact_of(root)
    assert reached(found) == {
        "dev": [
            "merge removed HelmRelease web/web",
            "merge removed CustomResourceDefinition widgets.example.com",
            "merge removed ClusterRole web",
            "merge removed Deployment web/web",
        ]
    }
    release_, crd, role, _ = cluster(found).changes
    assert notes(release_) == [
        "Flux deletes it",
        "takes 2 objects with it: ClusterRole web, Deployment web/web",
    ]
    assert notes(crd) == ["stays in the cluster, because Helm does not delete it"]
    assert notes(role) == ["is deleted together with HelmRelease web/web"]
    assert found.deletions == 3


def test_an_object_that_leaves_its_release(root: Path) -> None:
    kept = ROLE.replace(
        "{name: web}", '{name: web, annotations: {helm.sh/resource-policy: "keep"}}'
    )
    commit(root, {"charts/web/templates/role.yaml": kept})
    (root / "charts/web/templates/role.yaml").unlink()
    (root / "charts/web/templates/deployment.yaml").unlink()
    found = impact_of(root)
    assert {str(change.found.object): notes(change) for change in cluster(found).changes} == {
        "ClusterRole web": [
            "stays in the cluster, because its annotation tells Helm not to delete it"
        ],
        "Deployment web/web": ["Helm deletes it"],
    }


def test_a_release_that_is_not_rendered_is_not_compared(root: Path) -> None:
    text = release().replace("./charts/web", "web").replace("GitRepository", "HelmRepository")
    spec = "spec: {interval: 1h, url: 'https://charts.example.com'}\n"
    kind = ("source.toolkit.fluxcd.io/v1", "HelmRepository")
    source = manifest(*kind, "flux-system", "flux-system", spec)
    write(root, definition("apps/web", f"{text}---\n{source}"))
    found = impact_of(root)
    assert reached(found)["dev"] == [
        "merge changed HelmRelease web/web",
        "merge added HelmRepository flux-system/flux-system",
    ]
    (line,) = found.unknown
    assert line.startswith("dev: HelmRelease web/web is not rendered: ")
    assert "run `fleet fetch`" in line
    assert cluster(found).problems == (
        "HelmRelease web/web changes and is not rendered; what it applies is not compared",
    )
    commit(root)
    write(root, {"apps/web/resource.yaml": f"{text}---\n{source}---\n{config_map('a', 'web')}"})
    assert cluster(impact_of(root)).problems == ()


def test_values_of_secrets_are_hidden(root: Path) -> None:
    more = "  valuesFrom: [{kind: Secret, name: size}]\n"

    def app(size: str) -> dict[str, str]:
        secret = manifest(
            "v1", "Secret", "size", "web", f"stringData: {{values.yaml: 'size: {size}'}}\n"
        )
        text = release(more=more).replace("  values: {size: 2}\n", "")
        return definition("apps/web", f"{text}---\n{secret}")

    commit(root, app("4711"))
    write(root, app("4712"))
    found = impact_of(root)
    changes = cluster(found).changes
    assert [str(field) for change in changes for field in change.found.fields] == [
        "stringData[values.yaml]: (hidden) differs",
        "spec.replicas: (hidden) differs",
    ]


def test_values_of_secrets_are_hidden_in_answers(root: Path) -> None:
    def app(name: str, image: str) -> dict[str, str]:
        more = "  valuesFrom: [{kind: Secret, name: image}]\n"
        data = f"stringData: {{values.yaml: 'image: {image}'}}\n"
        secret = manifest("v1", "Secret", "image", "web", data)
        return definition(f"apps/{name}", f"{release(more=more)}---\n{secret}")

    container = '"{{ .Values.image }}:1", env: [{name: A, value: "{{ .Values.image }}"}]'
    text = DEPLOYMENT.replace('"web:{{ .Chart.AppVersion }}"', container)
    write(root, {**app("web", "hunter1"), **app("other", "hunter2")})
    write(root, {"charts/web/templates/deployment.yaml": text})
    write(root, {"Pulumi.prod.yaml": stack_file("prod", apps="other")})
    with things_of(root) as things:
        (thing,) = names.fitting(things, "Deployment/web")
        found = where.where(things, thing)
        images = [name.name for name in things.all_of(ThingType.IMAGE)]
    assert images == []
    assert found.same[Aspect.IMAGE] == ("(hidden)",)
    assert [place.others for place in found.places.values()] == [
        (),
        (
            "Deployment web/web: spec.template.spec.containers[name=web].env[name=A].value: "
            "(hidden) differs",
        ),
    ]


def test_a_field_that_the_api_server_refuses_in_a_release(root: Path) -> None:
    selector = "spec:\n  selector: {matchLabels: {size: '{{ .Values.size }}'}}\n  replicas"
    text = DEPLOYMENT.replace("spec:\n  replicas", selector, 1)
    commit(root, {"charts/web/templates/deployment.yaml": text})
    write(root, definition("apps/web", release(size=3)))
    assert notes(cluster(impact_of(root)).changes[1]) == [
        "spec.selector cannot be changed: the API server refuses it, and HelmRelease web/web fails "
        "until the object is deleted"
    ]


def moved_notes(root: Path) -> list[str]:
    changes = cluster(impact_of(root)).changes
    return [text for change in changes if change.found.moved_from for text in notes(change)]


def test_moves_between_releases_and_kustomizations(root: Path) -> None:
    commit(root, {"charts/web/templates/map.yaml": config_map("map", "web")})
    (root / "charts/web/templates/map.yaml").unlink()
    write(root, definition("apps/web", f"{release()}---\n{config_map('map', 'web')}"))
    assert moved_notes(root) == [
        "moves from HelmRelease web/web to flux-system/apps, so Helm may delete it and make it "
        "again; first annotate it with helm.sh/resource-policy: keep, and move it when the "
        "clusters have that"
    ]
    commit(root)
    write(root, {"charts/web/templates/map.yaml": config_map("map", "web")})
    write(root, definition("apps/web", release()))
    assert moved_notes(root) == [
        "moves from Flux Kustomization flux-system/apps to HelmRelease web/web, so Flux may delete "
        "it, and Helm makes it again only when it next upgrades; first annotate it with "
        "kustomize.toolkit.fluxcd.io/prune: disabled, and move it when the clusters have that"
    ]


def test_a_release_that_is_installed_again(root: Path) -> None:
    write(root, definition("apps/web", release(more="  releaseName: site\n")))
    found = impact_of(root)
    together = "is deleted together with HelmRelease web/web"
    again = f"{together}, and it is made again as soon as that is possible"
    assert {str(change.found.object): notes(change) for change in cluster(found).changes} == {
        "HelmRelease web/web": [
            "spec.releaseName changes, so Helm uninstalls the release, with all that it has, and "
            "installs it again"
        ],
        "ClusterRole web": [again],
        "Deployment web/web": [again],
    }
    assert found.deletions == 2


def test_a_chart_that_fails_from_now_on_reaches_the_cluster(root: Path) -> None:
    write(root, {"charts/web/templates/fail.yaml": '{{ fail "no" }}'})
    found = cluster(impact_of(root))
    assert found.changes == ()
    assert found.is_reached


def doubts(root: Path) -> list[str]:
    with model.of_checkout(root, install_manifests, lambda _: None) as fleet:
        return list(fleet.clusters["dev"].doubts)


def test_values_that_only_the_cluster_has_are_named(root: Path) -> None:
    unknown = release().replace("size: 2", "size: '${size}'")
    sops = release().replace("size: 2", "size: 'ENC[AES256_GCM,data:eA==]'")
    write(root, definition("teams/variable", unknown))
    spec = "  postBuild: {substituteFrom: [{kind: Secret, name: s}]}\n"
    write(root, definition("apps/web", flux_kustomization("web", spec, "./teams/variable")))
    assert doubts(root) == ["HelmRelease web/web is rendered without the value of spec.values.size"]
    write(root, definition("apps/web", f"{sops}sops: {{mac: x}}\n"))
    assert doubts(root) == ["HelmRelease web/web is rendered without the value of spec.values.size"]
