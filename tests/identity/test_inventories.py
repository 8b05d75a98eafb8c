"""Reads of the inventories of a cluster, with a kubectl that answers from files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import CommandError
from fleet.identity import inventories
from fleet.identity.inventories import Inventories
from fleet.render.moves import Delivery, Move

# It answers a question from a file that is named after it; without one, there is no such object.
KUBECTL = """\
#!/bin/sh
[ "$1 $2 $3 $4 $5" = "--kubeconfig /k/config --context k3d-dev get" ] || exit 2
[ "$6 $7" = "--ignore-not-found --output=json" ] || exit 2
shift 7
file="$(dirname "$0")/answers/$*"
[ ! -e "$file" ] || exec cat "$file"
"""
ALL = "kustomizations.kustomize.toolkit.fluxcd.io --all-namespaces"
IN_CLUSTER = Inventories(kubeconfig=Path("/k/config"), context="k3d-dev")
TEAM = "_team__Namespace"
NEW = [Delivery(name="Namespace team", kustomization="flux-system/apps", is_pruned=True)]


class Kubectl:
    """A kubectl on PATH, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.answers = folder / "answers"
        self.answers.mkdir(parents=True)
        (folder / "kubectl").write_text(KUBECTL)
        (folder / "kubectl").chmod(0o755)

    def answer(self, question: str, document: Mapping[str, Any]) -> None:
        (self.answers / question).write_text(json.dumps(document))


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Kubectl(tmp_path / "bin")


def kustomization(name: str, *entries: str, namespace: str = "flux-system", **spec: Any) -> Any:  # noqa: ANN401 - JSON
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"prune": True, **spec},
        "status": {"inventory": {"entries": [{"id": entry, "v": "v1"} for entry in entries]}},
    }


def test_an_object_that_flux_could_delete(kubectl: Kubectl) -> None:
    kubectl.answer(ALL, {"items": [kustomization("infra", TEAM), kustomization("apps")]})
    kubectl.answer("Namespace.v1. team", {"metadata": {"name": "team"}})
    assert IN_CLUSTER.moves(NEW) == [
        Move(
            source="flux-system/infra",
            target="flux-system/apps",
            names=("Namespace team",),
            tenant="",
        )
    ]


@pytest.mark.parametrize("other", ["team-x", "teams"])
def test_an_object_that_stays(kubectl: Kubectl, other: str) -> None:
    """Two objects move, and only one has the annotation in the cluster."""
    annotations = {"kustomize.toolkit.fluxcd.io/prune": "disabled", "other": "x"}
    kubectl.answer(ALL, {"items": [kustomization("infra", TEAM, f"_{other}__Namespace")]})
    kubectl.answer("Namespace.v1. team", {"metadata": {"annotations": annotations}})
    kubectl.answer(f"Namespace.v1. {other}", {"metadata": {}})
    second = Delivery(name=f"Namespace {other}", kustomization="flux-system/apps", is_pruned=True)
    assert IN_CLUSTER.moves(NEW) == []
    (move,) = IN_CLUSTER.moves([*NEW, second])
    assert move.names == (f"Namespace {other}",)


def test_an_object_that_is_gone_is_not_lost(kubectl: Kubectl) -> None:
    kubectl.answer(ALL, {"items": [kustomization("infra", TEAM)]})
    assert IN_CLUSTER.moves(NEW) == []


def test_a_kustomization_that_prunes_nothing(kubectl: Kubectl) -> None:
    kubectl.answer(ALL, {"items": [kustomization("infra", TEAM, prune=False)]})
    kubectl.answer("Namespace.v1. team", {"metadata": {}})
    assert IN_CLUSTER.moves(NEW) == []


def test_the_objects_of_a_tenant(kubectl: Kubectl) -> None:
    """They are in an inventory whose Kustomization gets another name."""
    target = {"namespace": "shop", "targetNamespace": "shop"}
    kubectl.answer(
        ALL, {"items": [kustomization("billing-apps", "shop_app_apps_Deployment", **target)]}
    )
    new = [
        Delivery(
            name="what is in namespace shop",
            kustomization="shop/payments-apps",
            is_pruned=True,
        )
    ]
    (move,) = IN_CLUSTER.moves(new)
    assert (move.source, move.target) == ("shop/billing-apps", "shop/payments-apps")


def test_a_cluster_without_flux(kubectl: Kubectl) -> None:
    assert IN_CLUSTER.moves(NEW) == []


def test_a_cluster_that_does_not_answer(kubectl: Kubectl) -> None:
    with pytest.raises(CommandError):
        Inventories(kubeconfig=Path("/k/config"), context="other").moves(NEW)


@pytest.mark.parametrize(
    ("entry", "name", "group", "resource"),
    [
        (TEAM, "Namespace team", "", "Namespace.v1."),
        ("a_b_apps_Deployment", "Deployment a/b", "apps", "Deployment.v1.apps"),
        (
            "_system__a_rbac.authorization.k8s.io_ClusterRole",
            "ClusterRole system:a",
            "rbac.authorization.k8s.io",
            "ClusterRole.v1.rbac.authorization.k8s.io",
        ),
    ],
)
def test_an_entry_of_an_inventory(entry: str, name: str, group: str, resource: str) -> None:
    (found,) = inventories.entries([kustomization("tenant-billing", entry)])
    assert (found.delivery.name, found.delivery.group, found.resource) == (name, group, resource)
    assert found.delivery.tenant == "billing"
