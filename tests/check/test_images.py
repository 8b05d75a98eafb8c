"""Test the rule about images without a version."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.check import images
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.objects import Objects

POD = {"containers": [{"name": "a", "image": "registry.example:5000/team/app"}]}


def built(kind: str, spec: dict[str, Any], **more: Any) -> BuiltObject:  # noqa: ANN401 - any field
    """Return an object with a spec."""
    versions = {"Pod": "v1", "CronJob": "batch/v1", "Job": "batch/v1"}
    manifest = {
        "apiVersion": versions.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"namespace": "apps", "name": "a"},
        "spec": spec,
    }
    return BuiltObject(path="clusters/dev/apps", manifest=manifest, **more)


def found(item: BuiltObject) -> list[str]:
    return [finding.problem for finding in images.findings(Objects.of([item]))]


@pytest.mark.parametrize(
    ("image", "is_found"),
    [
        ("app", True),
        ("app:latest", True),
        ("registry.example:5000/team/app", True),
        ("registry.example:5000/team/app:latest", True),
        ("app:1.2.3", False),
        ("app:latest-1.2", False),
        ("registry.example:5000/team/app:1", False),
        # A digest says exactly which image it is, whatever the tag.
        (f"app:latest@sha256:{'0' * 64}", False),
        (f"app@sha256:{'0' * 64}", False),
        # Nothing replaces the variable, which is a finding of its own.
        ("app:${tag}", False),
        ("${image}", False),
        ("", False),
        (None, False),
    ],
)
def test_an_image(image: str | None, is_found: bool) -> None:
    item = built("Pod", {"containers": [{"name": "a", "image": image}]})
    text = f"image {image} of container a may be another one at each start; "
    assert found(item) == ([f"{text}name a version or a digest"] if is_found else [])


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", POD),
        ("Deployment", {"template": {"spec": POD}}),
        ("StatefulSet", {"template": {"spec": POD}}),
        ("DaemonSet", {"template": {"spec": POD}}),
        ("Job", {"template": {"spec": POD}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": POD}}}}),
        ("Pod", {"initContainers": POD["containers"]}),
        ("Pod", {"ephemeralContainers": POD["containers"]}),
    ],
)
def test_every_container_of_every_kind(kind: str, spec: dict[str, Any]) -> None:
    (problem,) = found(built(kind, spec))
    assert problem.startswith("image registry.example:5000/team/app of container a ")


def test_an_image_as_a_volume() -> None:
    volumes = [{"name": "data", "image": {"reference": "data:latest"}}]
    (problem,) = found(built("Pod", {"volumes": volumes}))
    assert problem.startswith("image data:latest of volume data ")


def test_no_pods() -> None:
    assert found(built("Widget", {"template": {"spec": POD}})) == []


def test_a_variable_that_only_the_cluster_knows() -> None:
    spec = {"containers": [{"name": "a", "image": "app:${tag}"}]}
    assert found(built("Pod", spec, has_unknown_variables=True)) == []


def test_a_value_that_may_be_secret_is_not_shown() -> None:
    (problem,) = found(built("Pod", POD, holds_secrets=True))
    assert "registry.example" not in problem
