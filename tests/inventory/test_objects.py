"""Test that objects in parts give the answers of a plain list of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from fleet.inventory import objects
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.manifest_list import ManifestList
from fleet.inventory.objects import Objects, OwnPart, Part, SharedPart
from fleet.kube.manifest import Manifest

KINDS = ("ConfigMap", "Secret", "Service")
PATH = "clusters/dev/apps"


def manifest(kind: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "apps", "name": name}}


def built(found: Manifest) -> BuiltObject:
    return BuiltObject(path=PATH, manifest=found)


def is_secret(found: Manifest) -> bool:
    return bool(found["kind"] == "Secret")


def name_of(found: Manifest) -> str:
    return str(found["metadata"]["name"])


SHARED = [
    ManifestList(manifest(KINDS[index % 3], f"{number}-{index}") for index in range(number * 3))
    for number in range(3)
]


def part(choose: random.Random) -> Part:
    """Return a part with own objects at any place, also of another kind than the shared one."""
    if choose.random() < 0.3:
        found = [built(manifest(choose.choice(KINDS), f"own-{n}")) for n in range(3)]
        return OwnPart(path=PATH, objects=found)
    shared = choose.choice(SHARED)
    indexes = sorted(choose.sample(range(len(shared)), k=choose.randint(0, len(shared))))
    own = {index: built(manifest(choose.choice(KINDS), f"own-{index}")) for index in indexes}
    return SharedPart(path=PATH, manifests=shared, own=own, make=built)


def plain(parts: Sequence[Part]) -> list[BuiltObject]:
    """Return the objects of parts, without anything that a part answers itself."""
    found: list[BuiltObject] = []
    for item in parts:
        if isinstance(item, OwnPart):
            found += item.objects
        else:
            found += [
                item.own.get(index, built(shared)) for index, shared in enumerate(item.manifests)
            ]
    return found


@pytest.mark.parametrize("seed", range(100))
def test_each_question_has_the_answer_of_a_plain_list(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - nothing is secret
    clusters = [[part(choose) for _ in range(choose.randint(0, 4))] for _ in range(3)]
    of_clusters = [Objects(parts) for parts in clusters]
    for parts, found in zip(clusters, of_clusters, strict=True):
        expected = plain(parts)
        assert list(found) == expected
        assert len(found) == len(expected)
        assert list(found.where(is_secret)) == [
            item for item in expected if is_secret(item.manifest)
        ]
        for kinds in (("Secret",), ("Service", "ConfigMap"), ("Job",), ()):
            assert list(found.of_kinds(*kinds)) == [item for item in expected if item.kind in kinds]
        assert set(found.answers(name_of)) == {name_of(item.manifest) for item in expected}
    everything = [item for found in of_clusters for item in found]
    manifests = {id(item.manifest): item.manifest for item in everything}
    distinct = [item.manifest for item in objects.distinct(of_clusters)]
    assert [id(item) for item in distinct] == list(manifests)
    wanted = {number for number in manifests if choose.random() < 0.5}
    assert list(objects.having(of_clusters, wanted)) == [
        item for item in everything if id(item.manifest) in wanted
    ]


def test_an_object_is_the_same_one_each_time() -> None:
    found = Objects([SharedPart(path=PATH, manifests=SHARED[1], own={}, make=built)])
    assert [id(item) for item in found] == [id(item) for item in found]
    (secret,) = found.where(is_secret)
    assert secret is found[1]


def test_a_question_about_a_shared_list_is_asked_once() -> None:
    asked: list[Manifest] = []

    def test(found: Manifest) -> bool:
        asked.append(found)
        return True

    shared = ManifestList([manifest("Secret", "a"), manifest("Secret", "b")])
    for _ in range(3):
        cluster = Objects([SharedPart(path=PATH, manifests=shared, own={}, make=built)])
        assert len(list(cluster.where(test))) == len(shared)
    assert asked == list(shared)


def test_own_objects_are_in_parts_by_their_paths() -> None:
    given = [BuiltObject(path=path, manifest=manifest("Secret", path)) for path in "aab"]
    assert [(item.path, len(item)) for item in Objects.of(given).parts] == [("a", 2), ("b", 1)]
