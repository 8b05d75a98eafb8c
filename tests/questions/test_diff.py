"""The difference of two clusters, or of one at two revisions."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.inventory import model
from fleet.questions import diff
from fleet.questions.diff import Difference
from tests.inventory.support import commit, fleets
from tests.support import config_map, definition, kustomization, namespace, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a committed checkout with the stacks dev and prod."""
    commit(checkout, definition("infrastructure/namespaces/team", namespace("team")))
    return checkout


def of(root: Path, before: str, after: str) -> Difference:
    """Return the difference of a cluster in the last commit and another in the working copy."""
    with ExitStack() as stack:
        old, new = fleets(stack, root)
        return diff.difference(model.cluster_named(old, before), model.cluster_named(new, after))


def shown(found: Difference) -> list[tuple[str, bool, bool, list[str]]]:
    return [
        (str(item.object), bool(item.before), bool(item.after), [str(f) for f in item.fields])
        for item in found.objects
    ]


def test_two_clusters_that_differ_only_in_their_paths(root: Path) -> None:
    found = of(root, "dev", "prod")
    assert shown(found) == []
    assert found.equal > 3
    assert found.problems == ()


def test_what_only_one_of_two_clusters_has(root: Path) -> None:
    overlay = "apps/podinfo/overlays/prod"
    prefixed = f"{kustomization('../../base')}namePrefix: a-\n"
    write(root, {f"{overlay}/kustomization.yaml": prefixed})
    both = "namespaces/common namespaces/team"
    write(root, {"Pulumi.prod.yaml": stack_file("prod", infrastructure=both)})
    assert shown(of(root, "dev", "prod")) == [
        ("ConfigMap common/podinfo", True, False, []),
        ("Namespace team", False, True, []),
        ("ConfigMap common/a-podinfo", False, True, []),
    ]


def test_an_object_that_two_kustomizations_apply(root: Path) -> None:
    shared = "infrastructure/policies/shared"
    stack = stack_file("dev", infrastructure="namespaces/common policies/shared")
    commit(root, {**definition(shared, config_map("podinfo", "common")), "Pulumi.dev.yaml": stack})
    edited = config_map("podinfo", "common").replace("value", "other")
    write(root, definition("apps/podinfo/base", edited))
    (item,) = of(root, "dev", "dev").objects
    assert (item.before, item.after) == ("flux-system/apps", "flux-system/apps")
    assert [str(field) for field in item.fields] == ["data.key: value -> other"]
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})
    items = [item for item in of(root, "dev", "dev").objects if item.object.kind == "ConfigMap"]
    assert [(item.before, item.after) for item in items] == [
        ("flux-system/policies, flux-system/apps", "flux-system/apps")
    ]


def test_a_cluster_at_two_revisions(root: Path) -> None:
    edited = config_map("podinfo", "common").replace("value", "other")
    write(root, definition("apps/podinfo/base", edited))
    assert shown(of(root, "dev", "dev")) == [
        ("ConfigMap common/podinfo", True, True, ["data.key: value -> other"])
    ]


def test_an_object_of_another_kustomization(root: Path) -> None:
    both = f"{namespace('common')}---\n{config_map('podinfo', 'common')}"
    write(root, definition("infrastructure/namespaces/common", both))
    write(root, definition("apps/podinfo/base", config_map("other", "common")))
    moved = next(item for item in of(root, "dev", "dev").objects if item.object.name == "podinfo")
    assert (moved.before, moved.after) == ("flux-system/apps", "flux-system/infra")


def test_a_cluster_that_does_not_build(root: Path) -> None:
    write(root, {"apps/podinfo/base/kustomization.yaml": kustomization("nothing.yaml")})
    (problem,) = of(root, "dev", "dev").problems
    assert problem.startswith("dev: ")
    assert problem.endswith("; what it applies is not compared")


@pytest.mark.parametrize(
    ("name", "hint"), [("prd", "near names: prod"), ("xyz", "clusters here: dev, prod")]
)
def test_a_cluster_that_does_not_exist(name: str, hint: str, root: Path) -> None:
    with pytest.raises(FleetError) as refused:
        of(root, name, "dev")
    assert str(refused.value) == f"{name}: is no cluster here; {hint}"
