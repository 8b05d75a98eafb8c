"""Hold the build of a tenant's folder against Flux's own, on random repositories."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleet.check.tenant_build import build_folder
from fleet.inventory.built_object import Build
from fleet.kube.artifact import ArtifactFolder
from tests.check.peers import answers
from tests.check.random_repository import FOLDER, random_files
from tests.check.tenant_support import UNCHECKED, Files, write_clone
from tests.support import config_map

pytestmark = pytest.mark.slow

REPOSITORIES = 40
NAMESPACE = "billing-dev"


def built_here(clone: Path) -> Build:
    return build_folder(
        ArtifactFolder(repository=clone, copy=clone, path=FOLDER, file=FOLDER), NAMESPACE
    )


def texts(objects: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(json.dumps(found, sort_keys=True) for found in objects)


def difference(ours: Build, theirs: Mapping[str, Any]) -> str | None:
    """Return how two builds of a folder differ: objects, or an error without a finding."""
    problems = [f"{finding.object}: {finding.problem}" for finding in ours.findings]
    if theirs["error"]:
        return None if problems else f"only Flux refuses it: {theirs['error']}"
    # Flux ignores an unknown key of the folder's own kustomization, and takes the last of two
    # equal keys. fleet refuses both, since they are mistakes.
    if any("unknown field" in problem or UNCHECKED in problem for problem in problems):
        return None
    if problems and not ours.objects:
        return f"only fleet refuses it: {problems}"
    here, there = (
        texts(found) for found in ([o.manifest for o in ours.objects], theirs["objects"])
    )
    if here != there:
        here, there = ([t for t in a if t not in b] for a, b in ((here, there), (there, here)))
        return f"fleet {here}, Flux {there}"
    return None


def differences(folder: Path, repositories: Sequence[Files]) -> list[str | None]:
    """Return how fleet and Flux differ about each repository."""
    clones = [folder / f"{index}" / "clone" for index in range(len(repositories))]
    questions = []
    for clone, files in zip(clones, repositories, strict=True):
        write_clone(clone, files)
        copy = clone.with_name("copy")
        shutil.copytree(clone, copy)
        questions.append({"root": str(copy), "path": FOLDER, "namespace": NAMESPACE})
    with ThreadPoolExecutor(max_workers=4) as pool:
        theirs = pool.submit(answers, "flux-build", questions)
        ours = list(pool.map(built_here, clones))
        return [*map(difference, ours, theirs.result())]


def test_hand_picked_repositories(tmp_path: Path) -> None:
    file = f"{FOLDER}/kustomization.yaml"
    one = {f"{FOLDER}/a.yaml": config_map("a", "")}
    kustomizations = [
        "resources: [a.yaml]\nnamespace: ''\n",
        "resources: [a.yaml]\nNameSpace: other\n",
        "resources: [a.yaml]\nkind: Component\n",
        "resources: [a.yaml]\nkind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n",
        "resources: []\n",
        "resources: []\nnamePrefix: x-\n",
        "",
        "- a\n",
        "resources: a.yaml\n",
        "resources: [a.yaml, a.yaml]\n",
        "bases: [.]\n",
        "resources: ['.']\n",
        "resources: [../dev]\n",
        "resources: [a.yaml]\nopenapi: {path: missing.json}\n",
    ]
    repositories: list[Files] = [one | {file: text} for text in kustomizations]
    repositories += [one, {f"{FOLDER}/readme.txt": "nothing"}]
    assert [*filter(None, differences(tmp_path, repositories))] == []


def test_random_repositories(tmp_path: Path) -> None:
    chance = random.Random("repositories")  # noqa: S311 - the same files in each run
    repositories = [random_files(chance) for _ in range(REPOSITORIES)]
    found = zip(repositories, differences(tmp_path, repositories), strict=True)
    assert [(text, files) for files, text in found if text][:3] == []
