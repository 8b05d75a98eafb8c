"""`up` ends when the stages that were there have applied changed facts."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pulumi
import pytest

from fleet.config import load
from fleet.identity import branch, cluster
from fleet.identity.reality import Cluster
from fleet.render import facts
from tests.components.conftest import agreeing_branch, agreeing_cluster
from tests.components.helpers import engine_config, run_program
from tests.support import stack_file, write

STAGES = ("infra", "policies", "apps")


@pytest.fixture
def changed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the stack a fact, and the branch the stages of an earlier run."""
    text = stack_file(
        "dev", "namespaces/common policies/shared", more="  fleet:facts: {domain: new}\n"
    )
    write(here, {"Pulumi.dev.yaml": text})
    pushed = agreeing_branch()
    before = {f"clusters/dev/{stage}.yaml": "0" * 40 for stage in STAGES}
    there = dataclasses.replace(pushed, files={**pushed.files, **before})
    monkeypatch.setattr(branch, "read", lambda *_: there)
    return here


def with_facts(root: Path, *stages: str) -> Cluster:
    """Return the cluster in which these stages have applied the facts."""
    now = facts.checksum(facts.of_stack(load.stack(root, "dev")))
    applied = {stage: now if stage in stages else "old" for stage in STAGES}
    return dataclasses.replace(agreeing_cluster(), facts=applied, messages={"apps": "not yet"})


def answer(monkeypatch: pytest.MonkeyPatch, *clusters: Cluster) -> list[Cluster]:
    """Answer each question with the next cluster, and after that with the last one."""
    left = [*clusters]
    monkeypatch.setattr(cluster, "read", lambda *_: left.pop(0) if len(left) > 1 else left[0])
    return left


def record(root: Path, *, preview: bool = False) -> None:
    run_program(engine_config(root) | {"github:token": "hunter2"}, preview=preview)


def test_a_run_waits_for_every_stage(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    steps = [with_facts(changed, *STAGES[:count]) for count in (0, 0, 1, 2, 3)]
    left = answer(monkeypatch, *steps)
    record(changed)
    assert left == [with_facts(changed, *STAGES)]


def test_a_stage_that_never_applies_them(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    answer(monkeypatch, with_facts(changed, "infra", "policies"))
    with pytest.raises(pulumi.RunError) as caught:
        record(changed)
    assert str(caught.value) == (
        "Pulumi.dev.yaml: fleet:facts: the stage apps has not applied the changed facts: not yet; "
        "repair it, and look with `flux get kustomizations apps`"
    )


def test_a_preview_and_a_first_run_do_not_wait(
    changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, agreeing_cluster())
    record(changed, preview=True)
    monkeypatch.setattr(branch, "read", agreeing_branch)
    record(changed)
