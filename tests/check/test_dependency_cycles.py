"""Test the rule about objects of Flux that wait for themselves."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from fleet.check import flux_rules
from fleet.inventory.built_object import BuiltObject
from tests.check.support import flux_kustomization
from tests.support import helm_release

ACTION = "so Flux never applies it"


def kustomization(name: str, *waits_for: str, wait: bool = False, by: str = "") -> BuiltObject:
    """Return a Flux Kustomization that depends on others, and the one that applies it, `by`."""
    depends = ", ".join(f"{{name: {other}}}" for other in waits_for)
    text = flux_kustomization(name, f"  wait: {str(wait).lower()}\n  dependsOn: [{depends}]\n")
    return BuiltObject(path="apps/a", manifest=yaml.safe_load(text), applied_by=by)


def cycles(objects: Sequence[BuiltObject]) -> list[str]:
    """Return the finding of each cycle, without its remedy."""
    found = flux_rules.dependency_cycles(objects)
    return [str(finding).partition("; ")[0] for finding in found]


def test_no_cycle() -> None:
    assert cycles([kustomization("a", "b", "c"), kustomization("b", "c"), kustomization("c")]) == []


def test_a_cycle_of_several() -> None:
    objects = [kustomization("c", "a"), kustomization("b", "c"), kustomization("a", "b")]
    names = "flux-system/a -> flux-system/b -> flux-system/c -> flux-system/a"
    assert cycles([*objects, kustomization("d", "a")]) == [
        f"apps/a: Kustomization flux-system/a: waits for itself, {ACTION}: {names}"
    ]


def test_two_cycles() -> None:
    pairs = (("a", "b"), ("b", "a"), ("c", "c"))
    found = cycles([kustomization(name, other) for name, other in pairs])
    assert [line.rpartition(": ")[2] for line in sorted(found)] == [
        "flux-system/a -> flux-system/b -> flux-system/a",
        "flux-system/c -> flux-system/c",
    ]


def test_what_waits_for_all_that_it_applies() -> None:
    """The parent is ready when its child is, and the child waits until the parent is ready."""
    child = kustomization("child", "parent", by="flux-system/parent")
    (found,) = cycles([kustomization("parent", wait=True), child])
    assert found.endswith("flux-system/child -> flux-system/parent -> flux-system/child")
    assert cycles([kustomization("parent"), child]) == []


def test_what_applies_itself() -> None:
    own = kustomization("flux-system", wait=True, by="flux-system/flux-system")
    assert cycles([own]) == []


def test_releases_wait_for_releases_only() -> None:
    texts = [
        helm_release("a", "one", "  dependsOn: [{name: b, namespace: two}]\n"),
        helm_release("b", "two", "  dependsOn: [{name: a, namespace: one}]\n"),
    ]
    objects = [
        BuiltObject(path="apps/a", manifest=manifest)
        for text in texts
        for manifest in yaml.safe_load_all(text)
    ]
    (found,) = cycles(objects)
    assert found.endswith("HelmRelease one/a -> HelmRelease two/b -> HelmRelease one/a")
    assert cycles([objects[0], kustomization("b", "a")]) == []
