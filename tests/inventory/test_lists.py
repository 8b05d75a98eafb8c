"""Test that lists put together from their entries are what kustomize builds from them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from fleet.config import load
from fleet.errors import CommandError
from fleet.inventory import build
from fleet.kube import flux_build, kustomize
from fleet.kube.manifest import Manifest
from fleet.render import tree
from tests.check.random_repository import JSON_PATCH, PATCH, kustomization
from tests.support import INSTALL_MANIFESTS, REPOSITORY, TENANCY, manifest, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
NAMES = ("a", "b", "g")
Files = dict[str, str]


def texts(manifests: Iterable[Manifest]) -> list[str]:
    """Return manifests as texts, in an order that depends on them alone."""
    return sorted(json.dumps(manifest, sort_keys=True, default=str) for manifest in manifests)


def whole(root: Path, path: str) -> list[str] | None:
    """Return what kustomize builds from a folder, None if it refuses the folder."""
    try:
        built = kustomize.build(root, path, "--load-restrictor", "LoadRestrictionsNone")
    except CommandError:
        return None
    return texts(kustomize.manifests(built))


def whole_list(root: Path, paths: Iterable[str]) -> list[str] | None:
    """Return what kustomize builds from a list of folders, None if it refuses the list."""
    listing = json.dumps({"resources": [f"../../{path}" for path in paths]})
    write(root, {"clusters/list/kustomization.yaml": listing})
    return whole(root, "clusters/list")


@pytest.mark.parametrize("checkout", [REPOSITORY, TENANCY], ids=["shipped", "tenancy"])
def test_all_paths_of_all_clusters(checkout: Path, tmp_path: Path) -> None:
    repository = build.pack(checkout, tmp_path / "copy")
    for stack in load.stacks(checkout):
        files = tree.render(stack, INSTALL_MANIFESTS)
        cluster = build.build_tree(repository, stack.path, files)
        assert cluster.findings == []
        write(repository.copy, files)
        for path in {built.path for built in cluster.objects}:
            objects = [built for built in cluster.objects if built.path == path]
            found = [built.before_variables or built.manifest for built in objects]
            expected = flux_build.build(repository.entries.folder(path), {}).manifests
            assert texts(found) == texts(expected), path


def binding(name: str, account: str) -> str:
    """Return a ClusterRoleBinding for a ServiceAccount."""
    more = (
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n"
        f"subjects: [{{kind: ServiceAccount, name: {account}, namespace: default}}]\n"
    )
    return manifest("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name, more=more)


def pod(name: str, config: str) -> str:
    """Return a Pod that reads a ConfigMap."""
    read = f"envFrom: [{{configMapRef: {{name: {config}}}}}]"
    more = f"spec: {{containers: [{{name: c, image: nginx, {read}}}]}}\n"
    return manifest("v1", "Pod", name, more=more)


def random_entry(folder: str, kind: int, chance: random.Random) -> Files:
    """Return a folder with objects of one kind, and a kustomization with random keys."""
    one, other = chance.choice(NAMES), chance.choice(NAMES)
    objects = (
        manifest("v1", "ConfigMap", one, chance.choice(("", "apps")), "data: {x: y}\n"),
        manifest("v1", "ServiceAccount", one, chance.choice(("", "default"))),
        binding(one, other),
        pod(one, other),
    )
    return {
        f"{folder}/objects.yaml": objects[kind],
        f"{folder}/extra.txt": "text\n",
        f"{folder}/patch.yaml": PATCH,
        f"{folder}/kustomization.yaml": kustomization(
            chance, ["objects.yaml"], chance.choice((0, 1, 1, 2))
        ),
    }


def random_entries(chance: random.Random) -> tuple[list[str], Files]:
    """Return a few folders that may refer to each other's objects, and all of their files."""
    kinds = chance.sample(range(4), chance.choice((2, 3, 4)))
    paths = [f"apps/{kind}" for kind in kinds]
    prefix = chance.choice(("", "namePrefix: k-\n"))
    files = {
        "apps/base/patch.yaml": JSON_PATCH,
        "apps/base/extra.env": "E=1\n",
        "apps/component/kustomization.yaml": COMPONENT + prefix,
    }
    for path, kind in zip(paths, kinds, strict=True):
        files |= random_entry(path, kind, chance)
    return paths, files


@pytest.mark.slow
def test_random_lists(tmp_path: Path) -> None:
    """A list that builds gives the same objects, and one that does not build gives nothing."""
    apart = built = 0
    for seed in range(100):
        chance = random.Random(seed)  # noqa: S311 - no secret
        paths, files = random_entries(chance)
        root = tmp_path / f"{seed}"
        write(root, files)
        expected = whole_list(root, paths)
        found = build.pack(root, tmp_path / f"{seed}-copy").entries.together(tuple(paths))
        assert (found and texts(found.manifests)) == expected, seed
        built += found is not None
        apart += found is not None and not found.is_whole
    print(f"{built} lists build, {apart} of them entry by entry")
    assert apart > 15
    assert built - apart > 15


def entries(root: Path, files: Files, paths: Sequence[str]) -> bool:
    """Tell whether a list of folders was put together from its entries; it must be right."""
    write(root, files)
    found = build.pack(root, root.with_name("copy")).entries.together(tuple(paths))
    assert found is not None
    assert texts(found.manifests) == whole_list(root, paths)
    return not found.is_whole


USER = {
    "apps/user/kustomization.yaml": "resources: [pod.yaml]\n",
    "apps/user/pod.yaml": pod("p", "config"),
}
GENERATOR = "configMapGenerator: [{name: config, literals: [a=b]}]\n"


def test_a_generated_name_that_another_entry_refers_to(tmp_path: Path) -> None:
    files = {**USER, "apps/made/kustomization.yaml": GENERATOR}
    assert not entries(tmp_path / "root", files, ["apps/made", "apps/user"])


def test_a_generated_name_that_nobody_refers_to(tmp_path: Path) -> None:
    files = {**USER, "apps/made/kustomization.yaml": GENERATOR.replace("config,", "other,")}
    assert entries(tmp_path / "root", files, ["apps/made", "apps/user"])


def test_a_namespace_that_kustomize_writes_into_a_binding(tmp_path: Path) -> None:
    files = {
        "apps/account/kustomization.yaml": "namespace: apps\nresources: [account.yaml]\n",
        "apps/account/account.yaml": manifest("v1", "ServiceAccount", "robot"),
        "apps/user/kustomization.yaml": "resources: [binding.yaml]\n",
        "apps/user/binding.yaml": binding("b", "robot"),
    }
    assert not entries(tmp_path / "root", files, ["apps/account", "apps/user"])


def test_an_object_that_two_entries_have(tmp_path: Path) -> None:
    root = tmp_path / "root"
    copied = {path.replace("user", "copy"): text for path, text in USER.items()}
    write(root, {**USER, **copied})
    repository = build.pack(root, tmp_path / "copy")
    assert repository.entries.together(("apps/user", "apps/copy")) is None
