"""The chain inside definitions, against what kustomize builds from random ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import CommandError
from fleet.inventory import build
from fleet.inventory.build import Repository
from fleet.kube import flux_build
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.provenance.definition_chain import DefinitionChains
from fleet.provenance.link import Link, LinkKind
from tests.check.random_repository import FOLDER, random_files
from tests.support import definition, write
from tests.support import manifest as manifest_text

SEEDS = range(12)
_ORIGIN = "config.kubernetes.io/origin"


def chains(repository: Repository) -> Iterator[tuple[Manifest, tuple[Link, ...]]]:
    """Yield each object of the folder, and its chain; nothing if kustomize refuses the folder."""
    folder = repository.entries.folder(FOLDER)
    found = DefinitionChains(repository=repository)
    if not folder.folder.is_dir() or flux_build.reference_problems(folder, {}):
        return
    try:
        manifests = flux_build.build(folder, {}).manifests
    except CommandError:
        return
    for manifest in manifests:
        yield manifest, found.links(FOLDER, manifest)


def in_file(repository: Repository, link: Link) -> Manifest:
    """Return the object of a link, as kustomize reads it in its file."""
    built = repository.entries.patched((repository.copy / link.file).read_text(), [])
    assert built is not None, link
    return next(item for item in built.manifests if str(object_id(item)) == link.text)


def check(repository: Repository) -> int:
    """Check the chains of all objects, and return their number."""
    found = list(chains(repository))
    for manifest, links in found:
        assert links, manifest
        if _ORIGIN in mapping_at(manifest, "metadata", "annotations"):
            # The kustomization asks kustomize to add what the chain itself is made from.
            continue
        if links[-1].kind is not LinkKind.OBJECT:
            assert any(link.kind is LinkKind.GENERATOR for link in links), (manifest, links)
            continue
        is_changed = any(link.kind is LinkKind.CHANGE for link in links)
        assert is_changed == (in_file(repository, links[-1]) != manifest), (manifest, links)
    return len(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chain_ends_at_the_object_and_has_all_that_changes_it(seed: int, tmp_path: Path) -> None:
    write(tmp_path / "root", random_files(random.Random(seed)))  # noqa: S311 - no secret
    check(build.pack(tmp_path / "root", tmp_path / "copy"))


def test_the_objects_of_a_folder_are_in_its_order(tmp_path: Path) -> None:
    """A set would have another order in each run."""
    names = [f"name-{number:02}" for number in range(20)]
    texts = "---\n".join(manifest_text("v1", "ConfigMap", name, "common") for name in names)
    write(tmp_path / "root", definition("apps/a", texts))
    repository = build.pack(tmp_path / "root", tmp_path / "copy")
    ids = DefinitionChains(repository=repository).ids("apps/a")
    assert [found.name for found in ids] == names
