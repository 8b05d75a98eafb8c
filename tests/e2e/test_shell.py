"""Type commands in `make shell`, as a platform engineer does, in the sandbox that people get."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

import pexpect
import pytest

from sandbox.host.checkout import CHECKOUT
from tests.e2e.sandbox import NAMES, Sandbox

# The sandbox that people get has the tenant billing in every cluster.
CLUSTERS, SPOKE = NAMES, True
PROMPT = "(sandbox) platform # " if os.geteuid() == 0 else "(sandbox) platform $ "
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
# One command may wait for three clusters on a loaded machine.
TIMEOUT = 300
SHELL = (
    "import pathlib, sys; from sandbox.sandbox import Sandbox; "
    "from sandbox.shell import run_shell; "
    "sys.exit(run_shell(Sandbox(pathlib.Path(sys.argv[1])), None))"
)


class Terminal:
    """A terminal in which the shell of a sandbox runs."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._child = pexpect.spawn(
            sys.executable,
            ["-c", SHELL, str(sandbox.state)],
            cwd=str(CHECKOUT),
            timeout=TIMEOUT,
            encoding="utf-8",
            echo=False,
            dimensions=(50, 200),
        )
        self._child.expect_exact(PROMPT)

    def type(self, line: str) -> str:
        """Type a line, wait for the next prompt and return the output, without colours."""
        self._child.sendline(line)
        self._child.expect_exact(PROMPT)
        return ESCAPES.sub("", self._child.before or "").strip()

    def close(self) -> None:
        """Leave the shell."""
        self._child.sendline("exit")
        self._child.expect(pexpect.EOF)
        self._child.close()


@pytest.fixture(scope="module")
def terminal(sandbox: Sandbox) -> Iterator[Terminal]:
    """A shell in the sandbox's working copy."""
    terminal = Terminal(sandbox)
    yield terminal
    terminal.close()


def test_hub_and_spoke_are_in_the_table(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second start changes nothing; its table has the tenant's namespaces and app."""
    lines: list[str] = []
    assert sandbox.start(lines.append, spoke=True)
    ups = [line for line in lines if line.startswith("pulumi up -s ")]
    assert len(ups) == 3
    assert all(re.fullmatch(r"pulumi up -s \w+: \d+ same", line) for line in ups)
    table = capsys.readouterr().out
    for environment, replicas in (("dev", 1), ("test", 1), ("prod", 2)):
        assert f"Namespace billing-{environment} " in table
        (row,) = (
            line
            for line in table.splitlines()
            if line.startswith(f"Deployment billing in billing-{environment} ")
        )
        assert f"{replicas}/{replicas}" in row


def test_kubectl_knows_the_contexts(terminal: Terminal) -> None:
    contexts = terminal.type("kubectl config get-contexts --output name").split()
    assert contexts == ["k3d-dev", "k3d-prod", "k3d-test"]
    pods = terminal.type("kubectl --context k3d-prod get deployments -n billing-prod")
    assert re.search(r"billing\s+2/2", pods)


def test_git_pulls_and_pushes_with_tls_verified(terminal: Terminal) -> None:
    assert "fatal" not in terminal.type("git pull")
    assert terminal.type("git status --short") == ""
    assert "billing" in terminal.type("ls clusters/dev/tenants")
    terminal.type("echo '# A note' >> apps/common/kustomization.yaml")
    terminal.type("git commit --quiet --all --message 'Add a note'")
    assert "fatal" not in terminal.type("git push")
    assert terminal.type("git fetch && git status --short --branch") == "## main...origin/main"


def test_fleet_and_pulumi_agree(terminal: Terminal, sandbox: Sandbox) -> None:
    """A stack file is edited, checked, previewed and applied; then nothing is left to do."""
    file = sandbox.platform_repository.folder / "Pulumi.dev.yaml"
    assert " 0 findings" in terminal.type("fleet check")
    assert "k3d-dev" in terminal.type("pulumi config get fleet:cluster -s dev")
    assert "dev" in terminal.type("pulumi stack ls")

    file.write_text(file.read_text().replace("podinfo/overlays/dev", "podinfo/base"))
    assert " 0 findings" in terminal.type("fleet check")
    preview = terminal.type("pulumi preview -s dev --diff")
    assert "podinfo/base" in preview
    assert re.search(r"~ \d+ to update", preview)
    assert re.search(r"~ \d+ updated", terminal.type("pulumi up -s dev --yes --skip-preview"))
    assert not re.search(
        r"\d+ to (create|update|delete|replace)", terminal.type("pulumi preview -s dev")
    )
    assert "podinfo/base" in terminal.type(
        "git pull --quiet; cat clusters/dev/apps/kustomization.yaml"
    )


def test_an_invalid_stack_file_is_one_line(terminal: Terminal, sandbox: Sandbox) -> None:
    file = sandbox.platform_repository.folder / "Pulumi.test.yaml"
    text = file.read_text()
    file.write_text(text.replace("podinfo/overlays/test", "podinfo/overlays/prod"))
    try:
        output = terminal.type("pulumi preview -s test")
        assert "Pulumi.test.yaml: fleet:apps[1]: 'podinfo/overlays/prod' is for prod" in output
        assert "Traceback" not in output
        assert terminal.type("echo code $?") != "code 0"
    finally:
        file.write_text(text)
