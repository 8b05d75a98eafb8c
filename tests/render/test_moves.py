"""Moves between Flux Kustomizations, from plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.render.moves import Delivery, moves, takes_away

INFRA = Delivery(name="Namespace team", kustomization="flux-system/infra", is_pruned=True)
APPS = replace(INFRA, kustomization="flux-system/apps")


def test_an_object_that_moves() -> None:
    (move,) = moves([INFRA], [APPS])
    assert (move.source, move.target, move.names) == (
        "flux-system/infra",
        "flux-system/apps",
        ("Namespace team",),
    )


@pytest.mark.parametrize(
    ("former", "new"),
    [
        ([INFRA], [INFRA]),
        ([INFRA], []),
        ([], [APPS]),
        ([INFRA], [INFRA, APPS]),
        ([INFRA, APPS], [APPS]),
        ([replace(INFRA, is_pruned=False)], [APPS]),
        ([INFRA], [replace(APPS, is_replaceable=True)]),
        ([INFRA], [replace(APPS, group="example.com")]),
    ],
)
def test_what_is_no_move_that_loses_something(former: list[Delivery], new: list[Delivery]) -> None:
    assert moves(former, new) == []


def test_the_way_on_is_the_tenants_for_a_tenant() -> None:
    (move,) = moves([replace(INFRA, tenant="billing")], [APPS])
    assert move.problem == (
        "moves from Flux Kustomization flux-system/infra to flux-system/apps, so Flux may delete "
        "it and make it again; first set keep: true for tenant billing, and move it when the "
        "clusters have that"
    )


@pytest.mark.parametrize(
    ("former", "new", "expected"),
    [
        ({}, {"a.yaml": "x\n"}, False),
        ({"a.yaml": "# one\nx\n"}, {"a.yaml": "# two\nx\ny\n"}, False),
        ({"a.yaml": "x\ny\n"}, {"a.yaml": "x\n"}, True),
        ({"a.yaml": "x\n"}, {}, True),
        ({"README.md": "x\n"}, {}, False),
    ],
)
def test_whether_a_tree_takes_something_away(
    former: dict[str, str], new: dict[str, str], expected: bool
) -> None:
    assert takes_away(former, new) is expected
