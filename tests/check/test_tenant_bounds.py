"""Test that no repository of a tenant takes the check more than a little time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.kube import kustomize
from tests.check.tenant_support import FOLDER, Files, folder, found, thing
from tests.kube.test_yaml_reader import aliases

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
MANY = "\n---\n".join(f"{HEAD[:-2]}{index}}}" for index in range(2001))
DEEP = f"{HEAD}data: {'[' * 100_000}"
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_builds")]
TOO_MANY_VALUES = "has more than 1000000 values, with its aliases; use fewer"


def patched(name: str, text: str) -> Files:
    """Return files with a patch in a file of its own."""
    patches = [{"path": name, "target": {"kind": "ConfigMap"}}]
    return folder(HEAD, patches=patches) | {f"{FOLDER}/{name}": text}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (folder(HEAD + aliases(8)), f"resources: all.yaml: {TOO_MANY_VALUES}"),
        (folder(HEAD + aliases(40)), f"resources: all.yaml: {TOO_MANY_VALUES}"),
        (folder(MANY), "resources: all.yaml: has more than 2000 documents; use fewer"),
        (folder(DEEP), "resources: all.yaml: is nested more than 100 deep"),
        (patched("p.yaml", HEAD + aliases(8)), f"path: p.yaml: {TOO_MANY_VALUES}"),
        (folder("#" * 2**25 + "#"), "resources: all.yaml: is larger than 32 MiB; split it"),
    ],
    ids=range(6),
)
def test_a_file_that_takes_too_much_is_not_built(
    files: Files, problem: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: object) -> str:
        raise AssertionError(f"kustomize was run: {arguments}")

    monkeypatch.setattr(kustomize, "build", build)
    assert found(checkout, files) == [f"{FOLDER}/kustomization.yaml: {problem}"]


def test_a_generated_kustomization(checkout: Path) -> None:
    files = {f"{FOLDER}/a.yaml": HEAD + aliases(8), f"{FOLDER}/b.txt": MANY}
    assert found(checkout, files) == [
        f"{FOLDER}/kustomization.yaml: resources: a.yaml: {TOO_MANY_VALUES}"
    ]


def test_kustomize_has_limited_memory(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kustomize, "BUILD_MEMORY", 150)
    assert found(checkout, folder(HEAD + aliases(6))) == [
        "does not build: kustomize: needs more than 150 MiB of memory"
    ]
    patches = [{"patch": HEAD + aliases(6)}]
    assert found(checkout, folder(thing("v1", "ConfigMap"), patches=patches)) == [
        "does not build: kustomize: needs more than 150 MiB of memory"
    ]


def test_folders_that_name_each_other_twice(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of 20 levels doubles the objects of the one below it."""
    monkeypatch.setattr(kustomize, "BUILD_TIMEOUT", 1)
    files = {"0/kustomization.yaml": "resources: [a.yaml]\n", "0/a.yaml": HEAD}
    for level in range(1, 20):
        for side in "xy":
            text = f"resources: [../{level - 1}]\nnamePrefix: {side}-\n"
            files[f"{level}{side}/kustomization.yaml"] = text
        text = f"resources: [../{level}x, ../{level}y]\n"
        files[f"{level}/kustomization.yaml"] = text
    files[f"{FOLDER}/kustomization.yaml"] = "resources: [../../19]\n"
    assert found(checkout, files) == ["does not build: kustomize: no answer within 1 s"]


def test_a_build_that_takes_too_long_is_not_tried_again(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kustomize, "BUILD_TIMEOUT", 0.001)
    builds: list[str] = []
    build = kustomize.build

    def counted(root: Path, path: str, *options: str) -> str:
        builds.append(path)
        return build(root, path, *options)

    monkeypatch.setattr(kustomize, "build", counted)
    assert found(checkout, folder(HEAD)) == ["does not build: kustomize: no answer within 0 s"]
    assert builds == [FOLDER]
