"""The `fleet` command: help, wrong usage and `python -m fleet`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support import end_session, eventually
from tests.support import REPOSITORY, Run, config_map, write


def test_help_lists_every_command(fleet: Run) -> None:
    ended = fleet("--help")
    assert (ended.code, ended.err) == (0, "")
    for command in (
        "where", "why", "matrix", "diff", "impact", "render", "check", "fetch", "schema",
    ):  # fmt: skip
        assert re.search(rf"^    {command}\s+\w", ended.out, re.MULTILINE)
    assert "pulumi up -s <stack>" in ended.out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("render", ["--root DIR", "--stack STACK", "--out DIR"]),
        (
            "check",
            [
                "--root DIR",
                "--json",
                "--sarif",
                "--tenants DIR",
                "--schemas DIR",
                "--since COMMIT",
                "--audit",
            ],
        ),
        ("where", ["--root DIR", "--json"]),
        ("why", ["--root DIR", "--json"]),
        ("matrix", ["--kind KIND", "--by FACT", "--root DIR", "--json"]),
        ("diff", ["--root DIR", "--json"]),
        (
            "impact",
            [
                "--root DIR",
                "--json",
                "--markdown",
                "--sarif",
                "--fail-on NAME",
                "--max-deletions N",
            ],
        ),
        ("fetch", ["--root DIR"]),
        ("schema", []),
    ],
)
def test_each_commands_help_lists_its_options(command: str, options: list[str], fleet: Run) -> None:
    ended = fleet(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    shown = re.findall(r"^  (--[\w-]+(?: [A-Z]+)?)", ended.out, re.MULTILINE)
    assert shown == options


@pytest.mark.parametrize("args", [(), ("aplly",), ("render", "--stak", "dev")])
def test_wrong_usage_exits_with_2(args: tuple[str, ...], fleet: Run) -> None:
    ended = fleet(*args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("usage: fleet")


def test_python_m_fleet_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.stdout.startswith("usage: fleet")


@pytest.mark.slow
def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path, checkout: Path) -> None:
    """It waits for a kustomize that never ends, and that the signal reaches too.

    Ctrl-C has the same effect, but a shell lets what it runs in the background ignore it.
    """
    programs, temporary, started = (tmp_path / name for name in ("bin", "tmp", "started"))
    programs.mkdir()
    temporary.mkdir()
    kustomize = programs / "kustomize"
    kustomize.write_text(f"#!/bin/sh\n: > '{started}'\nexec sleep 1000\n")
    kustomize.chmod(0o755)
    # No earlier run has built this.
    text = config_map("a", "common").replace("value", str(tmp_path))
    write(checkout, {"apps/podinfo/base/resource.yaml": text})
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "check", "--root", str(checkout)],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": path, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        eventually(started.exists)
        os.killpg(process.pid, signal.SIGTERM)
        out, said = process.communicate(timeout=60)
    finally:
        # A thread may have begun another one before the end.
        end_session(str(process.pid))
    assert (process.returncode, out, said) == (128 + signal.SIGINT, "", "interrupted\n")
    assert list(temporary.iterdir()) == []
