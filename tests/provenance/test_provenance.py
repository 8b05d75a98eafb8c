"""The chains that bring objects into clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.provenance.link import LinkKind
from fleet.questions import where
from fleet.questions.things import Thing, ThingType
from tests.questions.support import chain, shown, things_of
from tests.support import (
    FIXTURES,
    REPOSITORY,
    TENANCY,
    definition,
    kustomization,
    manifest,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

OVERLAY = "apps/podinfo/overlays/dev/kustomization.yaml"
DEPLOYMENT = manifest(
    "apps/v1",
    "Deployment",
    "web",
    "common",
    "spec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n"
    "        - {name: web, image: 'example.com/web:1'}\n",
)
# From the stack file to the list of the stage, as in every cluster.
APPS = [
    "Pulumi.dev.yaml:4 fleet:apps lists podinfo/overlays/dev",
    "clusters/dev/flux-system/gotk-sync.yaml:14 Kustomization flux-system/flux-system applies "
    "./clusters/dev",
    "clusters/dev/kustomization.yaml:8 lists ./apps.yaml",
    "clusters/dev/apps.yaml:3 Kustomization flux-system/apps applies ./clusters/dev/apps",
    "clusters/dev/apps/kustomization.yaml:6 lists ../../../apps/podinfo/overlays/dev",
]


def of_overlay(checkout: Path, more: str, name: str = "Deployment/web") -> list[str]:
    """Return the chain of an object of an overlay, from the overlay on."""
    write(checkout, definition("apps/podinfo/base", DEPLOYMENT))
    write(checkout, {OVERLAY: kustomization("../../base") + more})
    found = shown(chain(checkout, "dev", name))
    assert found[: len(APPS)] == APPS
    return found[len(APPS) :]


def with_base(*changes: str) -> list[str]:
    """Return the chain below the list of the stage, with the changes of the overlay."""
    return [
        f"{OVERLAY}:4 lists ../../base",
        *changes,
        "apps/podinfo/base/kustomization.yaml:4 lists resource.yaml",
        "apps/podinfo/base/resource.yaml:1 Deployment common/web",
    ]


def test_nothing_changes_the_object(checkout: Path) -> None:
    assert of_overlay(checkout, "") == with_base()


def test_each_item_has_its_own_changes(checkout: Path) -> None:
    more = (
        "namespace: team\n"
        "replicas:\n  - {name: web, count: 3}\n"
        "images:\n  - name: example.com/web\n    newTag: '2'\n"
        "patches:\n"
        "  - target: {kind: Deployment}\n"
        "    patch: '- {op: add, path: /metadata/labels, value: {a: b}}'\n"
        "  - {target: {kind: Service}, patch: '- {op: remove, path: /spec}'}\n"
    )
    assert of_overlay(checkout, more) == with_base(
        f"{OVERLAY}:12 patches: Deployment",
        '  metadata.labels: {"a": "b"} is new',
        f"{OVERLAY}:5 namespace: team",
        "  metadata.namespace: common -> team",
        f"{OVERLAY}:7 replicas: web",
        "  spec.replicas: 1 -> 3",
        f"{OVERLAY}:9 images: example.com/web",
        "  spec.template.spec.containers[name=web].image: example.com/web:1 -> example.com/web:2",
    )


def test_another_name(checkout: Path) -> None:
    found = of_overlay(checkout, "namePrefix: a-\n", "Deployment/a-web")
    assert found == with_base(f"{OVERLAY}:5 namePrefix: a-", "  metadata.name: web -> a-web")


def test_a_patch_of_a_file_names_the_file(checkout: Path) -> None:
    patch = manifest("apps/v1", "Deployment", "web", "common", "spec: {replicas: 4}\n")
    write(checkout, {"apps/podinfo/patches/four.yaml": patch})
    found = of_overlay(checkout, "patches:\n  - path: ../../patches/four.yaml\n")
    assert f"{OVERLAY}:6 patches: apps/podinfo/patches/four.yaml" in found
    assert "  spec.replicas: 1 -> 4" in found


def test_a_component_that_changes_the_object(checkout: Path) -> None:
    component = (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "replicas:\n  - {name: web, count: 5}\n"
    )
    write(checkout, {"apps/podinfo/many/kustomization.yaml": component})
    assert of_overlay(checkout, "components:\n  - ../../many\n") == with_base(
        "apps/podinfo/many/kustomization.yaml:4 replicas: web", "  spec.replicas: 1 -> 5"
    )


def test_a_component_that_adds_the_object(checkout: Path) -> None:
    component = (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "resources:\n  - added.yaml\nnamePrefix: a-\n"
    )
    added = manifest("v1", "Service", "added", "common")
    write(checkout, {"apps/podinfo/more/kustomization.yaml": component})
    write(checkout, {"apps/podinfo/more/added.yaml": added})
    found = of_overlay(checkout, "components:\n  - ../../more\n", "Service/a-added")
    assert found == [
        f"{OVERLAY}:6 components: apps/podinfo/more adds it",
        "apps/podinfo/more/kustomization.yaml:4 lists added.yaml",
        "apps/podinfo/more/kustomization.yaml:5 namePrefix: a-",
        "  metadata.name: added -> a-added",
        "apps/podinfo/more/added.yaml:1 Service common/added",
    ]


def test_one_base_twice(checkout: Path) -> None:
    write(checkout, definition("apps/podinfo/base", DEPLOYMENT))
    for name in ("a", "b"):
        listing = f"{kustomization('../base')}nameSuffix: -{name}\n"
        write(checkout, {f"apps/podinfo/{name}/kustomization.yaml": listing})
    write(checkout, {OVERLAY: kustomization("../../a", "../../b")})
    found = shown(chain(checkout, "dev", "Deployment/web-b"))
    assert found[len(APPS) :] == [
        f"{OVERLAY}:5 lists ../../b",
        "apps/podinfo/b/kustomization.yaml:4 lists ../base",
        "apps/podinfo/b/kustomization.yaml:5 nameSuffix: -b",
        "  metadata.name: web -> web-b",
        "apps/podinfo/base/kustomization.yaml:4 lists resource.yaml",
        "apps/podinfo/base/resource.yaml:1 Deployment common/web",
    ]


def test_a_generated_object_and_no_value_of_a_secret(checkout: Path) -> None:
    more = (
        "secretGenerator:\n  - name: key\n    literals: [password=hunter2]\n"
        "patches:\n  - target: {kind: Secret}\n"
        "    patch: '- {op: add, path: /data/more, value: aHVudGVyMw==}'\n"
    )
    write(checkout, definition("apps/podinfo/base", DEPLOYMENT))
    write(checkout, {OVERLAY: kustomization("../../base") + more})
    with things_of(checkout) as things:
        cluster = things.fleet.clusters["dev"]
        (secret,) = (built for built in cluster.objects if built.kind == "Secret")
        found = shown(things.provenance.chain(cluster, secret))
    assert found[len(APPS)].startswith(f"{OVERLAY}:6 generates Secret key-")
    assert "  data.more: (hidden) is new" in found
    assert not any("hunter" in line or "aHVu" in line for line in found)


def test_the_document_of_a_file_with_several(checkout: Path) -> None:
    write(
        checkout,
        definition("apps/podinfo/base", f"{manifest('v1', 'Service', 'a')}---\n{DEPLOYMENT}"),
    )
    found = shown(chain(checkout, "dev", "Deployment/web"))
    assert found[-1] == "apps/podinfo/base/resource.yaml:6 Deployment common/web"


NESTED = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: inner, namespace: flux-system}
spec:
  interval: 5m
  prune: true
  path: ./apps/inner
  sourceRef: {kind: GitRepository, name: flux-system}
  targetNamespace: team
  postBuild: {substitute: {host: dev.example.com}}
"""


def test_a_kustomization_below_another_one(checkout: Path) -> None:
    text = manifest("v1", "ConfigMap", "inner", "common", "data: {host: '${host}'}\n")
    write(checkout, definition("apps/inner", text))
    write(checkout, definition("apps/podinfo/base", NESTED))
    found = shown(chain(checkout, "dev", "ConfigMap/team/inner"))
    assert found[: len(APPS)] == APPS
    flux = "apps/podinfo/base/resource.yaml:1 Kustomization flux-system/inner"
    assert found[len(APPS) :] == [
        f"{OVERLAY}:4 lists ../../base",
        "apps/podinfo/base/kustomization.yaml:4 lists resource.yaml",
        f"{flux} applies ./apps/inner",
        f"{flux} changes what it builds",
        "  metadata.namespace: common -> team",
        f"{flux} sets variables",
        "  data.host: ${host} -> dev.example.com",
        "apps/inner/kustomization.yaml:4 lists resource.yaml",
        "apps/inner/resource.yaml:1 ConfigMap common/inner",
    ]


def test_a_rendered_cluster() -> None:
    found = shown(chain(FIXTURES / "rendered", "edge", "Secret/common/web"))
    assert found[0] == "Pulumi.edge.yaml:13 fleet:apps lists secrets"
    assert [line for line in found if "renders" in line] == [
        "clusters/edge/apps/secrets.yaml:4 `pulumi up` renders Kustomization flux-system/secrets "
        "from apps/secrets",
        "clusters/edge/apps/kustomizations/flux-system/secrets/objects.yaml:4 `pulumi up` renders "
        "Secret common/web from apps/secrets/objects",
    ]
    assert (
        "  metadata.annotations[example.com/host]: web.${domain} -> web.edge.example.com" in found
    )
    assert found[-2:] == [
        "apps/secrets/objects has no kustomization, so Flux lists secret.yaml",
        "apps/secrets/objects/secret.yaml:1 Secret common/web",
    ]


def test_an_object_of_a_tenant() -> None:
    found = shown(chain(TENANCY, "prod-us-east-1", "Namespace/audit"))
    tree = "clusters/prod-us-east-1"
    assert found == [
        "Pulumi.prod-us-east-1.yaml:8 fleet:tenants has audit",
        f"{tree}/flux-system/gotk-sync.yaml:14 Kustomization flux-system/flux-system applies "
        f"./{tree}",
        f"{tree}/kustomization.yaml:9 lists ./tenants",
        f"{tree}/tenants/kustomization.yaml:6 lists audit.yaml",
        f"{tree}/tenants/audit.yaml:3 Kustomization flux-system/tenant-audit applies "
        f"./{tree}/tenants/audit",
        f"{tree}/tenants/audit/tenant.yaml:3 Namespace audit",
    ]


def test_an_object_of_flux(checkout: Path) -> None:
    found = shown(chain(checkout, "dev", "Namespace/flux-system"))
    assert found == [
        "Pulumi.yaml:8 fleet:flux is v2.9.2",
        APPS[1],
        "clusters/dev/kustomization.yaml:6 lists ./flux-system",
        "clusters/dev/flux-system/kustomization.yaml:6 lists gotk-components.yaml",
        "clusters/dev/flux-system/gotk-components.yaml:3 Namespace flux-system",
    ]


@pytest.mark.parametrize("root", [REPOSITORY, TENANCY, FIXTURES / "rendered"])
def test_every_object_has_a_whole_chain(root: Path) -> None:
    ends = (LinkKind.OBJECT, LinkKind.KUSTOMIZATION)
    with things_of(root) as things:
        for cluster in things.fleet.clusters.values():
            for built in cluster.objects:
                links = things.provenance.chain(cluster, built)
                is_generated = any(link.kind is LinkKind.GENERATOR for link in links)
                assert links[0].kind is LinkKind.STACK
                assert links[-1].kind in ends or is_generated, (cluster.name, built.display_name)
                for link in links:
                    assert link.line is not None or "no kustomization" in link.text, link


def test_an_object_of_a_component_that_flux_adds(checkout: Path) -> None:
    component = (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "resources:\n  - added.yaml\n"
    )
    write(
        checkout,
        {
            "apps/more/kustomization.yaml": component,
            "apps/more/added.yaml": manifest("v1", "Service", "added", "common"),
            **definition("apps/inner", manifest("v1", "ConfigMap", "inner", "common")),
        },
    )
    own = NESTED.partition("  targetNamespace")[0]
    write(checkout, definition("apps/podinfo/base", f"{own}  components: [../more]\n"))
    found = shown(chain(checkout, "dev", "Service/added"))
    flux = "apps/podinfo/base/resource.yaml:1 Kustomization flux-system/inner"
    assert found[-4:] == [
        f"{flux} applies ./apps/inner",
        f"{flux} adds it by its own fields",
        "apps/more/kustomization.yaml:4 lists added.yaml",
        "apps/more/added.yaml:1 Service common/added",
    ]


def test_the_content_of_a_patch_is_not_shown(checkout: Path) -> None:
    secret = manifest("v1", "Secret", "key", "common", "stringData: {password: a}\n")
    patch = (
        "{apiVersion: v1, kind: Secret, metadata: {name: key, namespace: common}, "
        "stringData: {password: hunter2}}"
    )
    write(checkout, definition("apps/podinfo/base", secret))
    listing = f'{kustomization("../../base")}patchesStrategicMerge:\n  - "{patch}"\n'
    write(checkout, {OVERLAY: listing})
    found = shown(chain(checkout, "dev", "Secret/key"))
    assert f"{OVERLAY}:6 patchesStrategicMerge" in found
    assert "  stringData.password: (hidden) differs" in found
    assert not any("hunter2" in line for line in found)


def test_names_that_only_look_like_others(checkout: Path) -> None:
    both = f"{manifest('v1', 'Service', 'x-a')}---\n{manifest('v1', 'Service', 'b')}"
    write(checkout, definition("apps/podinfo/base", both))
    write(checkout, {OVERLAY: f"{kustomization('../../base')}namePrefix: x-\n"})
    found = shown(chain(checkout, "dev", "Service/x-x-a"))
    assert found[-1] == "apps/podinfo/base/resource.yaml:1 Service x-a"
    assert "  metadata.name: x-a -> x-x-a" in found


def test_a_fact_of_all_clusters_and_one_of_this_cluster(checkout: Path) -> None:
    project = (checkout / "Pulumi.yaml").read_text()
    project += "  fleet:facts:\n    value:\n      domain: example.com\n      size: a\n"
    own = stack_file("dev", more="  fleet:facts:\n    size: b\n")
    text = manifest("v1", "ConfigMap", "podinfo", "common", "data: {a: '${domain} ${size}'}\n")
    write(checkout, {"Pulumi.yaml": project, "Pulumi.dev.yaml": own})
    write(checkout, definition("apps/podinfo/base", text))
    found = shown(chain(checkout, "dev", "ConfigMap/podinfo"))
    start = found.index(
        "clusters/dev/apps.yaml:3 Kustomization flux-system/apps sets variables from ConfigMap "
        "cluster-facts"
    )
    assert found[start + 1 : start + 4] == [
        "  data.a: ${domain} ${size} -> example.com b",
        "Pulumi.yaml:13 fleet:facts has domain",
        "Pulumi.dev.yaml:6 fleet:facts has size",
    ]
    facts = shown(chain(checkout, "dev", "ConfigMap/flux-system/cluster-facts"))
    assert facts[0] == "Pulumi.dev.yaml:5 fleet:facts has facts"


def test_values_of_variables_make_no_variant(checkout: Path) -> None:
    for name in ("dev", "prod"):
        write(
            checkout,
            {f"Pulumi.{name}.yaml": stack_file(name, more=f"  fleet:facts: {{a: {name}}}\n")},
        )
    text = manifest("v1", "ConfigMap", "podinfo", "common", "data: {a: '${a}'}\n")
    write(checkout, definition("apps/podinfo/base", text))
    with things_of(checkout) as things:
        thing = Thing(type=ThingType.APP, name="podinfo")
        found = where.where(things, thing)
        numbers = where.variants(things, thing, things.presences(thing))
    assert numbers == {"dev": 1, "prod": 1}
    assert found.places["prod"].others == ("ConfigMap common/podinfo: data.a: dev -> prod",)
