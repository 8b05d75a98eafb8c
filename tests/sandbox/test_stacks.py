"""The message of a failed `up` in the sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.host.certificates import Certificates
from sandbox.pulumi.stacks import Running, Stacks
from sandbox.sandbox_error import SandboxError

CAUSE = "github:index:RepositoryDeployKey key creating (1s) error: 1 error occurred:"
DETAIL = "    * POST https://github.test/keys: 403 Resource not accessible"
AFTERWARDS = "error: Detected that pulumi-resource-kubernetes exited prematurely. Please report."


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([CAUSE, DETAIL, AFTERWARDS], f"{CAUSE} {DETAIL.strip()}"),
        ([AFTERWARDS], AFTERWARDS),
    ],
)
def test_the_cause_is_named_and_not_what_follows_it(
    lines: list[str], expected: str, tmp_path: Path
) -> None:
    log = tmp_path / "up.log"
    log.write_text("\n".join(lines))
    stacks = Stacks(state=tmp_path, certificates=Certificates(tmp_path), working_copy=tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(SandboxError) as failed:
        Running(stacks=stacks, stack="dev", process=process, log=log).outcome()
    assert str(failed.value) == f"pulumi up -s dev: {expected}; full log: {log}"
