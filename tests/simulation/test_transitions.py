"""From one random stack to another one, commit by commit: each commit is a tree that passes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.kube import kustomize
from fleet.render import commit_order, definition_build, tree
from fleet.render.commit_order import Commit, ObjectsOf
from tests.simulation import repository
from tests.simulation.trees import Trees, cached
from tests.support import INSTALL_MANIFESTS

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one transition: what the checks found, or why it was refused."""

    seed: int
    commits: int
    findings: tuple[str, ...] = ()
    refusal: str = ""


def test_every_commit_of_a_transition_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_valid(range(60), tmp_path, monkeypatch)


@pytest.mark.long
def test_every_commit_of_many_transitions_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_valid(range(1000, 1500), tmp_path, monkeypatch)


def expect_valid(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that no commit of these transitions has a finding, and few are refused."""
    monkeypatch.setattr(kustomize, "build", cached(kustomize.build))
    root = folder / "checkout"
    root.mkdir()
    repository.create(root)
    trees = Trees(root, folder)
    with definition_build.reader(root) as definitions:
        outcomes = [outcome(seed, root, trees, definitions.objects) for seed in seeds]
    assert [found for found in outcomes if found.findings] == []
    assert trees.schema_findings() == []
    refused = [found.refusal for found in outcomes if found.refusal]
    print(
        f"{len(outcomes)} transitions, {sum(found.commits for found in outcomes)} commits, "
        f"{len(refused)} refused"
    )
    assert len(refused) < len(outcomes) / 10


def outcome(seed: int, root: Path, trees: Trees, objects_of: ObjectsOf) -> Outcome:
    """Make one transition, and check every commit until one has a finding."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    before, after = (repository.random_stack(root, chance) for _ in range(2))
    former, new = (tree.render(stack, INSTALL_MANIFESTS) for stack in (before, after))
    for stack, files in ((before, former), (after, new)):
        assert trees.findings(stack, files) == []
    try:
        waves = commit_order.commit_waves(after, new, former, objects_of)
    except FleetError as error:
        return Outcome(seed=seed, commits=0, refusal=str(error))
    commits, last = 0, {**former}
    for last in intermediate_trees(waves, former, chance):
        commits += 1
        if found := trees.findings(_with_all_stages(before, after), last):
            texts = tuple(f"commit {commits}: {finding}" for finding in found)
            return Outcome(seed=seed, commits=commits, findings=texts)
    assert last == new
    return Outcome(seed=seed, commits=commits)


def intermediate_trees(
    waves: list[list[Commit]], former: Mapping[str, str], chance: random.Random
) -> Iterator[dict[str, str]]:
    """Yield the tree after each commit; commits of one wave come in any order, removals last."""
    files = dict(former)
    for wave in waves:
        for commit in chance.sample(wave, len(wave)):
            if files.get(commit.path) != commit.text:
                files[commit.path] = commit.text
                yield files
    kept = {commit.path for wave in waves for commit in wave}
    removed = sorted(former.keys() - kept)
    for path in chance.sample(removed, len(removed)):
        del files[path]
        yield files


def _with_all_stages(before: Stack, after: Stack) -> Stack:
    """Return a stack with the entries of both; the order of its stages is that of any tree."""
    config = after.config.model_copy(
        update={
            "infrastructure": (*before.config.infrastructure, *after.config.infrastructure),
            "apps": (*before.config.apps, *after.config.apps),
        }
    )
    return Stack(name=after.name, file=after.file, config=config)
