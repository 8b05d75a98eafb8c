"""Test kinds that only CRDs of the repository describe, and kinds without any schema."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from fleet.check.findings import Report
from fleet.check.run import check_stacks
from fleet.config import load
from tests.check.support import APPS, CRD, check
from tests.support import definition, manifest, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

GOOD = manifest("example.com/v1", "Widget", "a", "common", "spec: {size: 1}\n")
BAD = GOOD.replace("size: 1", "size: big")
PROBLEM = f"{APPS}: Widget common/a: spec.size: got string, want integer"


def report(checkout: Path, text: str) -> Report:
    (checkout / "Pulumi.prod.yaml").unlink()
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a"), **definition("apps/a", text)})
    return check_stacks(checkout, [(load.stack(checkout, "dev"), None)], lambda _: None)


def test_a_crd_of_the_same_cluster(checkout: Path) -> None:
    found = report(checkout, f"{CRD}---\n{BAD}")
    assert [str(finding) for finding in found.findings] == [PROBLEM]
    assert found.without_schema == Counter()


def test_an_unknown_field(checkout: Path) -> None:
    text = f"{CRD}---\n{GOOD.replace('size', 'siz')}"
    assert check(checkout, definition("apps/a", text), apps="a") == [
        f"{APPS}: Widget common/a: spec: additional properties 'siz' not allowed"
    ]


def test_a_crd_that_no_cluster_uses(checkout: Path) -> None:
    """It may be there for this check alone, when a chart installs the CRD."""
    files = {"infrastructure/crds/widgets.yaml": CRD, **definition("apps/a", BAD)}
    assert check(checkout, files, apps="a") == [PROBLEM]


def test_a_crd_of_a_known_kind(checkout: Path) -> None:
    """The CRD of the repository is the one that the cluster gets."""
    crd = CRD.replace("example.com", "kyverno.io").replace("Widget", "PolicyException")
    text = BAD.replace("example.com/v1", "kyverno.io/v1").replace("Widget", "PolicyException")
    (found,) = check(checkout, definition("apps/a", f"{crd}---\n{text}"), apps="a")
    assert found.endswith("spec.size: got string, want integer")


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        [],
        "text",
        {"properties": ["a"]},
        {"type": "object", "properties": {"spec": "text"}},
        {"type": "object", "properties": {"spec": {"items": [1], "default": 1}}},
        {"required": 1, "properties": {"spec": {"default": {}}}},
        {"required": [[1]], "enum": 1, "nullable": True},
        {"type": {"a": 1}, "allOf": 1, "anyOf": [1], "not": [2]},
        {"type": "object", "additionalProperties": [1]},
        {"properties": {"spec": {"type": "object", "pattern": "("}}},
    ],
)
def test_a_malformed_crd(schema: object, checkout: Path) -> None:
    crd = yaml.safe_load(CRD)
    crd["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    found = check(checkout, definition("apps/a", f"{yaml.safe_dump(crd)}---\n{GOOD}"), apps="a")
    assert all("\n" not in line and line.startswith(f"{APPS}: ") for line in found)


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("image.toolkit.fluxcd.io/v1", "ImagePolicy"),
        ("snapshot.storage.k8s.io/v1", "VolumeSnapshotClass"),
        ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"),
        ("gateway.networking.k8s.io/v1alpha2", "TCPRoute"),
        ("metrics.k8s.io/v1beta1", "NodeMetrics"),
        ("example.com/v1", "Thing"),
    ],
)
def test_a_kind_without_a_schema(api: str, kind: str, checkout: Path) -> None:
    """It is counted and named, and it is no finding."""
    found = report(checkout, manifest(api, kind, "a", "common", "spec: {a: '='}\n"))
    assert found.findings == []
    assert found.without_schema == Counter({f"{api} {kind}": 1})
    assert found.summary().endswith(f"; no schema for 1 objects ({api} {kind})")


@pytest.mark.parametrize("kind", ["../Evil", "A/B", "A B", "A\\u0085B", "\\u202eA", "A" * 300])
def test_a_kind_that_is_no_name(kind: str, checkout: Path) -> None:
    text = GOOD.replace("Widget", f'"{kind}"')
    (found,) = check(checkout, definition("apps/a", text), apps="a")
    assert found.endswith("apiVersion and kind are no names; correct them")
