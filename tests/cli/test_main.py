"""The `fleet` command: help, wrong usage and `python -m fleet`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support import REPOSITORY, Run


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
