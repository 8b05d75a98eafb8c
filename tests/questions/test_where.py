"""The clusters that have a thing, and what differs between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.questions import names, where
from fleet.questions.aspects import Aspect
from fleet.questions.where import Where
from tests.questions.support import things_of
from tests.support import (
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


def of(root: Path, name: str) -> Where:
    """Return what the only thing of a name is."""
    with things_of(root) as things:
        (thing,) = names.fitting(things, name)
        return where.where(things, thing)


def lines(found: Where) -> dict[str, list[str]]:
    """Return by cluster the lines that put the thing there."""
    return {name: [link.place for link in place.sources] for name, place in found.places.items()}


def test_an_app_of_the_shipped_repository() -> None:
    found = of(REPOSITORY, "podinfo")
    replicas = {name: p.presence.aspects[Aspect.REPLICAS] for name, p in found.places.items()}
    assert replicas == {"dev": ("1",), "prod": ("3",), "test": ("2",)}
    assert found.differing == (Aspect.ENTRY, Aspect.REPLICAS)
    assert found.same == {
        Aspect.NAMESPACE: ("team-x",),
        Aspect.IMAGE: ("ghcr.io/stefanprodan/podinfo:6.9.0",),
    }
    assert found.missing == ()
    others = {name: list(place.others) for name, place in found.places.items()}
    assert others == {
        "dev": [],
        "prod": [
            "Ingress team-x/podinfo: spec.rules[0].host: podinfo.dev.example.com -> "
            "podinfo.example.com"
        ],
        "test": [
            "Ingress team-x/podinfo: spec.rules[0].host: podinfo.dev.example.com -> "
            "podinfo.test.example.com"
        ],
    }
    for name, places in lines(found).items():
        (place,) = places
        file, _, line = place.partition(":")
        text = (REPOSITORY / file).read_text().splitlines()[int(line) - 1]
        assert text == f"    - podinfo/overlays/{name}"


def test_what_only_one_cluster_has() -> None:
    found = of(REPOSITORY, "foo-app")
    assert list(found.places) == ["test"]
    assert found.missing == ("dev", "prod")
    assert found.differing == ()


def test_a_policy_that_only_one_cluster_enforces(checkout: Path) -> None:
    def policy(action: str) -> str:
        spec = f"spec: {{validationActions: [{action}]}}\n"
        return manifest("policies.kyverno.io/v1", "ValidatingPolicy", "no-root", more=spec)

    for name, action in (("dev", "Audit"), ("prod", "Deny")):
        write(checkout, definition(f"infrastructure/policies/{name}", policy(action)))
        both = f"namespaces/common policies/{name}"
        write(checkout, {f"Pulumi.{name}.yaml": stack_file(name, infrastructure=both)})
    found = of(checkout, "no-root")
    actions = {name: place.presence.aspects[Aspect.ACTION] for name, place in found.places.items()}
    assert actions == {"dev": ("Audit",), "prod": ("Deny",)}
    assert found.differing == (Aspect.ACTION,)
    assert lines(found) == {"dev": ["Pulumi.dev.yaml:3"], "prod": ["Pulumi.prod.yaml:3"]}


def test_other_fields_without_the_values_of_a_secret(checkout: Path) -> None:
    secret = manifest("v1", "Secret", "key", "common", "stringData: {password: hunter2}\n")
    write(checkout, definition("apps/podinfo/base", secret))
    patch = "- {op: replace, path: /stringData/password, value: hunter3}"
    overlay = (
        f"{kustomization('../../base')}commonLabels: {{a: b}}\n"
        f"patches:\n  - target: {{kind: Secret}}\n    patch: '{patch}'\n"
    )
    write(checkout, {"apps/podinfo/overlays/prod/kustomization.yaml": overlay})
    found = of(checkout, "podinfo")
    assert found.places["dev"].others == ()
    assert found.places["prod"].others == (
        'Secret common/key: metadata.labels: {"a": "b"} is new',
        "Secret common/key: stringData.password: (hidden) differs",
    )


def test_objects_that_only_some_clusters_have(checkout: Path) -> None:
    write(
        checkout,
        {
            "apps/podinfo/overlays/prod/kustomization.yaml": kustomization(
                "../../base", "more.yaml"
            ),
            "apps/podinfo/overlays/prod/more.yaml": manifest("v1", "Service", "more", "common"),
        },
    )
    found = of(checkout, "podinfo")
    assert found.places["prod"].others == ("Service common/more is only here",)


def test_a_tenant() -> None:
    with things_of(TENANCY) as things:
        _, tenant = names.fitting(things, "audit")
        found = where.where(things, tenant)
    (place,) = found.places.values()
    assert place.presence.aspects == {
        Aspect.NAMESPACE: ("audit",),
        Aspect.PATH: ("./manifests/production",),
    }
    assert lines(found) == {"prod-us-east-1": ["Pulumi.prod-us-east-1.yaml:8"]}


def test_an_image_in_several_apps(checkout: Path) -> None:
    def deployment(name: str) -> str:
        spec = "spec: {template: {spec: {containers: [{name: a, image: 'a.example/b:1'}]}}}\n"
        return manifest("apps/v1", "Deployment", name, "common", spec)

    write(checkout, definition("apps/podinfo/base", deployment("one")))
    write(checkout, definition("apps/two", deployment("two")))
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", apps="podinfo/overlays/prod two")})
    found = of(checkout, "a.example/b")
    assert lines(found) == {
        "dev": ["Pulumi.dev.yaml:4"],
        "prod": ["Pulumi.prod.yaml:4", "Pulumi.prod.yaml:4"],
    }


@pytest.mark.parametrize("name", ["kyverno", "team-x", "Deployment/kube-state-metrics"])
def test_every_source_is_a_line_of_a_stack_file(name: str) -> None:
    with things_of(REPOSITORY) as things:
        for thing in names.fitting(things, name):
            for place in where.where(things, thing).places.values():
                for link in place.sources:
                    assert link.file.startswith("Pulumi.")
                    assert link.line
