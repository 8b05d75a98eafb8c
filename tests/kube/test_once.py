"""Results about shared objects, each computed once."""

from __future__ import annotations

from fleet.kube.manifest import Manifest
from fleet.kube.once import distinct, once_for_each


def test_a_result_is_computed_once_for_each_object() -> None:
    asked: list[Manifest] = []

    def name(manifest: Manifest) -> str:
        asked.append(manifest)
        return str(manifest["name"])

    name_of = once_for_each(name)
    first, equal = {"name": "a"}, {"name": "a"}
    assert [name_of(first), name_of(first), name_of(equal)] == ["a", "a", "a"]
    assert len(asked) == 2


def test_another_object_never_gets_the_result_of_one_that_is_gone() -> None:
    number_of = once_for_each(lambda manifest: manifest["number"])
    assert [number_of({"number": number}) for number in range(100)] == list(range(100))


def test_a_shared_object_is_there_once() -> None:
    shared, equal = {"name": "a"}, {"name": "a"}
    found = distinct([shared, equal, shared])
    assert [id(manifest) for manifest in found] == [id(shared), id(equal)]
