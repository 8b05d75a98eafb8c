"""Test the pods that an object makes."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.check.pods import Pods, pods_of
from fleet.inventory.built_object import BuiltObject

TEMPLATE = {"spec": {"containers": [{"name": "a"}]}}


def made_by(api_version: str, kind: str, spec: dict[str, Any]) -> Pods | None:
    manifest = {"apiVersion": api_version, "kind": kind, "spec": spec}
    return pods_of(BuiltObject(path="apps", manifest=manifest))


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "refusal"),
    [
        ("v1", "Pod", TEMPLATE["spec"], "refused"),
        (
            "apps/v1",
            "Deployment",
            {"template": TEMPLATE},
            "accepted, but its pods are refused",
        ),
        (
            "batch/v1",
            "CronJob",
            {"jobTemplate": {"spec": {"template": TEMPLATE}}},
            "accepted, but its pods are refused",
        ),
    ],
)
def test_template(api_version: str, kind: str, spec: dict[str, Any], refusal: str) -> None:
    pods = made_by(api_version, kind, spec)
    assert pods is not None
    assert [container["name"] for container in pods.containers] == ["a"]
    assert pods.finding("is wrong").problem == f"{refusal}: is wrong"


@pytest.mark.parametrize(
    ("api_version", "kind"), [("v1", "ConfigMap"), ("example.com/v1", "Deployment")]
)
def test_a_kind_without_pods(api_version: str, kind: str) -> None:
    assert made_by(api_version, kind, {"template": TEMPLATE}) is None


@pytest.mark.parametrize("spec", [{}, {"template": []}, {"template": {"spec": 1}}], ids=str)
def test_a_malformed_template_has_no_containers(spec: dict[str, Any]) -> None:
    pods = made_by("apps/v1", "Deployment", spec)
    assert pods is not None
    assert (pods.containers, pods.init_containers) == ([], [])
