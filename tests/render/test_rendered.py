"""The files that are made of what kustomize has built, and the comparison of two builds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fleet.errors import ConfigError
from fleet.render import rendered
from fleet.render.rendered import Document
from tests.support import config_map

HEAD = "# Built by kustomize from apps/a: change the definition there.\n"
TEXT = """\
apiVersion: v1
data:
  text: |
    a
    ---
    b
kind: ConfigMap
metadata:
  name: a
---
apiVersion: v1
kind: Namespace
metadata:
  name: b
"""


def documents(*texts: str) -> list[Document]:
    """Return documents with these texts."""
    return [
        Document(text=text, manifest=yaml.load(text, Loader=yaml.CSafeLoader)) for text in texts
    ]


def large(name: str, namespace: str = "common", size: int = 500_000) -> str:
    """Return a ConfigMap of about `size` bytes."""
    return config_map(name, namespace).replace("value", "x" * size)


def test_the_documents_of_a_text_are_its_parts_byte_for_byte() -> None:
    found = rendered.documents(TEXT, list(yaml.safe_load_all(TEXT)))
    assert "---\n".join(document.text for document in found) == TEXT
    assert [document.manifest["kind"] for document in found] == ["ConfigMap", "Namespace"]


def test_nothing_has_no_documents_and_no_file() -> None:
    assert rendered.documents("", []) == ()
    assert rendered.entry_files("a", "apps/a", []) == {}


def test_an_entry_is_one_file_with_the_bytes_of_kustomize() -> None:
    found = rendered.documents(TEXT, list(yaml.safe_load_all(TEXT)))
    assert rendered.entry_files("a/b", "apps/a", found) == {"a/b.yaml": HEAD + TEXT}


def test_a_large_entry_is_a_file_for_each_object() -> None:
    found = documents(large("a"), large("b"), config_map("c", ""))
    files = rendered.entry_files("a", "apps/a", found)
    assert list(files) == [
        "a/configmap_common_a.yaml", "a/configmap_common_b.yaml", "a/configmap_c.yaml",
    ]  # fmt: skip
    assert list(files.values()) == [HEAD + document.text for document in found]


def test_the_file_of_an_object_does_not_depend_on_other_objects() -> None:
    """An object that moved from file to file would be missing, or there twice, in some commit."""
    before = rendered.entry_files("a", "apps/a", documents(large("a"), large("b")))
    after = rendered.entry_files("a", "apps/a", documents(large("0"), large("b"), large("a")))
    assert before.items() <= after.items()


def test_a_file_is_at_most_as_large_as_the_limit_and_no_entry_is_split_before() -> None:
    fits = large("a", size=rendered.MAX_BYTES - len(HEAD) - len(config_map("a", "common")) + 5)
    files = rendered.entry_files("a", "apps/a", documents(fits))
    assert [len(text.encode()) for text in files.values()] == [rendered.MAX_BYTES]
    assert list(files) == ["a.yaml"]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (
            [large("a", size=rendered.MAX_BYTES)],
            "apps/a: ConfigMap common/a: is larger than 900 kB, so it cannot be rendered; remove "
            "it, or set fleet:definitions: referenced",
        ),
        (
            [large("a"), large("a").replace("apiVersion: v1", "apiVersion: v2")],
            "apps/a: ConfigMap common/a: is there twice, so it cannot be rendered; remove it, or "
            "set fleet:definitions: referenced",
        ),
    ],
)
def test_objects_without_a_file_of_their_own_are_refused(texts: list[str], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        rendered.entry_files("a", "apps/a", documents(*texts))
    assert error.value.problems == (problem,)


def test_odd_and_long_names_have_files_of_their_own() -> None:
    """Names of RBAC may have colons, and one of a CRD may be too long for a file."""
    names = ["system:a", "system-a", "System a", "a" * 253, "a" * 252]
    texts = [large("x").replace("name: x", f"name: '{name}'") for name in names]
    files = rendered.entry_files("a", "apps/a", documents(*texts))
    assert len(files) == len(names)
    assert all(len(name) < 255 and set(name) <= {*PLAIN} for name in files)


PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/"


@pytest.mark.parametrize(
    ("paths", "taken"),
    [
        (["apps/kustomization.yaml", "apps/kustomization.yaml"], "apps/kustomization.yaml"),
        (["apps/a.yaml", "apps/a.yaml/b.yaml"], "apps/a.yaml"),
        (["apps/a.yaml/b.yaml", "apps/a.yaml"], "apps/a.yaml"),
    ],
)
def test_two_files_of_one_name_are_refused(paths: list[str], taken: str) -> None:
    with pytest.raises(ConfigError) as error:
        rendered.refuse_collisions("Pulumi.dev.yaml", paths)
    text = f"Pulumi.dev.yaml: two entries would be rendered to {taken}; rename one of the folders"
    assert error.value.problems == (text,)


def test_similar_names_are_not_refused() -> None:
    rendered.refuse_collisions("Pulumi.dev.yaml", ["a/b.yaml", "a-b.yaml", "a/b/c.yaml", "a.yaml"])


def manifest(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """Return an object with these fields."""
    return {"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, **fields}


@pytest.mark.parametrize(
    ("expected", "found", "path"),
    [
        (manifest(a=1), manifest(a=2), "a"),
        (manifest(a=1), manifest(), "a"),
        (manifest(), manifest(a=1), "a"),
        (manifest(a={"b": [1, {"c": 2}]}), manifest(a={"b": [1, {"c": 3}]}), "a.b[1].c"),
        (manifest(a=[1]), manifest(a=[1, 2]), "a"),
        (manifest(a=[1, 2]), manifest(a=[2, 1]), "a[0]"),
    ],
)
def test_the_first_difference_of_an_object(
    expected: dict[str, Any], found: dict[str, Any], path: str
) -> None:
    (difference,) = rendered.differences([expected], [found])
    assert (str(difference.name), difference.path) == ("A a", path)


def test_no_difference_of_the_same_objects_in_another_order() -> None:
    other = manifest(metadata={"name": "b"})
    assert rendered.differences([manifest(), other], [other, manifest()]) == []


def test_an_object_that_only_one_build_has_is_a_difference() -> None:
    (missing,) = rendered.differences([manifest()], [])
    (additional,) = rendered.differences([], [manifest()])
    assert (missing.path, missing.expected, missing.found) == ("", manifest(), None)
    assert (additional.path, additional.expected, additional.found) == ("", None, manifest())
