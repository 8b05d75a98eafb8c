"""Tests of the builds of Go programs, with a compiler that only makes empty files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.build import parts


def test_programs_of_fleet_are_linked_before_the_next_part_is_built(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked_before: dict[str, set[str]] = {}

    def compile_empty(command: Sequence[str | Path], **options: object) -> str:
        program = Path(command[command.index("-o") + 1])
        linked_before[program.name] = {path.name for path in (empty_cache / "bin").glob("*")}
        program.touch()
        return ""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts, "run", compile_empty)
    parts.build(("kustomize", "kubeconform", "etcd", "kyverno-cli"), print)
    assert linked_before == {
        "kustomize": set(),
        "kubeconform": {"kustomize"},
        "etcd": {"kustomize", "kubeconform"},
        "kubectl-kyverno": {"kustomize", "kubeconform"},
    }
    assert (empty_cache / "bin/kubectl-kyverno").exists()
    assert (empty_cache / "bin/kustomize").resolve() == parts.program("kustomize")

    # A build that the cache has is linked again, and not built again.
    (empty_cache / "bin/kustomize").unlink()
    linked_before.clear()
    parts.build(("kustomize",), print)
    assert linked_before == {} and (empty_cache / "bin/kustomize").exists()
