"""Tests of the builds of Go programs, with a compiler that only makes empty files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.build import parts


class CompileError(Exception):
    """A part cannot be built."""


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
    parts.build(("kustomize", "etcd"), print)
    parts.build(("kustomize", "kubeconform", "kyverno-cli"), print)
    assert linked_before == {
        "kustomize": set(),
        "etcd": {"kustomize"},
        "kubeconform": {"kustomize"},
        "kubectl-kyverno": {"kustomize", "kubeconform"},
    }
    assert (empty_cache / "bin/kubectl-kyverno").exists()
    assert (empty_cache / "bin/kustomize").resolve() == parts.program("kustomize")

    # A build that the cache has is linked again, and not built again.
    (empty_cache / "bin/kustomize").unlink()
    linked_before.clear()
    parts.build(("kustomize",), print)
    assert linked_before == {} and (empty_cache / "bin/kustomize").exists()


def test_the_first_part_is_built_alone_and_then_two_at_a_time(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    begun_at_the_end_of_the_first: list[str] = []
    # It is passed only by two builds at the same time.
    both = threading.Barrier(2, timeout=30)

    def compile_empty(command: Sequence[str | Path], **options: object) -> str:
        program = Path(command[command.index("-o") + 1])
        begun.append(program.name)
        if program.name == "kustomize":
            begun_at_the_end_of_the_first.extend(begun)
        else:
            both.wait()
        program.touch()
        return ""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts, "run", compile_empty)
    parts.build(("kustomize", "kubeconform", "etcd"), print)
    assert begun_at_the_end_of_the_first == ["kustomize"]
    assert set(begun) == {"kustomize", "kubeconform", "etcd"}


def test_after_a_part_that_cannot_be_built_no_other_is_begun(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    has_failed = threading.Event()

    def compile_or_fail(command: Sequence[str | Path], **options: object) -> str:
        program = Path(command[command.index("-o") + 1])
        begun.append(program.name)
        if program.name == "etcd":
            has_failed.set()
            raise CompileError
        if program.name != "kustomize":
            assert has_failed.wait(timeout=30)
        program.touch()
        return ""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts, "run", compile_or_fail)
    said: list[str] = []
    with pytest.raises(CompileError):
        parts.build(("kustomize", "etcd", "kwok", "kubeconform", "kyverno-cli"), said.append)
    assert "kwok" not in begun


def test_several_programs_of_a_part_are_built_at_once(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_all(command: Sequence[str | Path], **options: object) -> str:
        folder = Path(command[command.index("-o") + 1])
        for package in command[command.index("-o") + 2 :]:
            (folder / str(package).rpartition("/")[2]).touch()
        return ""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(parts, "run", compile_all)
    parts.build(("kubernetes",), print)
    for name in parts.PARTS["kubernetes"].programs:
        assert parts.program(name).is_file()
