"""The names that fit things."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.questions.names import fits
from fleet.questions.things import Thing, ThingType
from tests.questions.support import fitting
from tests.support import REPOSITORY, TENANCY


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("podinfo", ["app podinfo"]),
        ("common", ["app common"]),
        ("kyverno", ["controller kyverno", "namespace kyverno"]),
        ("flux", ["controller flux"]),
        ("team-x", ["namespace team-x"]),
        ("require-pod-resources", ["policy require-pod-resources"]),
        ("ghcr.io/stefanprodan/podinfo", ["image ghcr.io/stefanprodan/podinfo:6.9.0"]),
        ("ghcr.io/stefanprodan/podinfo:6.9.0", ["image ghcr.io/stefanprodan/podinfo:6.9.0"]),
        ("Deployment/podinfo", ["object Deployment/team-x/podinfo"]),
        ("deployment/team-x/podinfo", ["object Deployment/team-x/podinfo"]),
        ("Namespace/foo", ["object Namespace/foo"]),
    ],
)
def test_names_of_the_shipped_repository(name: str, expected: list[str]) -> None:
    found = fitting(REPOSITORY, name)
    assert [f"{thing.type.value} {thing.name}" for thing in found] == expected


def test_a_tenant() -> None:
    found = fitting(TENANCY, "audit")
    assert [thing.type for thing in found] == [ThingType.NAMESPACE, ThingType.TENANT]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("podinf", "podinfo"),
        ("PODINFO", "podinfo"),
        ("kube-state-metric", "Deployment/monitoring/kube-state-metrics"),
        ("kube-state-metrics", "Deployment/monitoring/kube-state-metrics"),
        ("Deployment/foo/podinfo", "Deployment/team-x/podinfo"),
        ("require-pod-resource", "require-pod-resources"),
    ],
)
def test_a_name_that_fits_nothing(name: str, near: str) -> None:
    with pytest.raises(FleetError) as refused:
        fitting(REPOSITORY, name)
    text, _, names = str(refused.value).partition("; near names: ")
    assert text == f"{name}: nothing here has this name"
    assert near in names.split(", ")


def test_a_name_that_is_like_nothing(checkout: Path) -> None:
    with pytest.raises(FleetError, match="`fleet matrix` shows all names"):
        fitting(checkout, "qqqqqqqqqqqq")


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        ("example.com:5000/a/web:1", "example.com:5000/a/web", True),
        ("example.com:5000/a/web", "example.com:5000/a/web", True),
        ("example.com:5000/a/web", "example.com", False),
        ("web:1@sha256:abc", "web", True),
        ("web:1", "web:2", False),
        ("example.com/web:1", "web", False),
    ],
)
def test_an_image_without_its_tag(image: str, name: str, expected: bool) -> None:
    assert fits(Thing(type=ThingType.IMAGE, name=image), name) is expected
