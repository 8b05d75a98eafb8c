"""Run one `pulumi up` in this process: `python -m sandbox.pulumi STATE STACK RESULT`.

The Python language host is on no package registry. So the engine, through the Automation API, runs
`__main__.py` of the checkout as an inline program of this process.
"""

from __future__ import annotations

import base64
import json
import runpy
import secrets
import sys
from pathlib import Path

import yaml
from pulumi import automation

from fleet.config.stack_files import PROJECT
from sandbox.host.files import CHECKOUT
from sandbox.sandbox import Sandbox


def main(state: Path, stack: str, result: Path) -> None:
    """Run `up` for one stack and write the number of resources by operation to `result`."""
    sandbox = Sandbox(state)
    if not sandbox.stacks.is_initialized(stack):
        sandbox.stacks.run_pulumi("stack", "init", stack)
    for key, value in _missing_secrets(sandbox, stack).items():
        # Standard input keeps the secret out of the command line, which every user can read.
        sandbox.stacks.run_pulumi(
            "config", "set", "--secret", "--path", "--stack", stack, key, stdin=value
        )
    selected = automation.select_stack(
        stack_name=stack,
        project_name=PROJECT,
        program=_program,
        opts=automation.LocalWorkspaceOptions(work_dir=str(Path.cwd())),
    )
    if sandbox.stacks.is_locked(stack):
        # A sandbox runs one `up` of a stack at a time, so the lock is of one that was killed.
        selected.cancel()
    done = selected.up(on_output=lambda line: print(line, flush=True), color="never")
    result.write_text(json.dumps(done.summary.resource_changes or {}))


def _missing_secrets(sandbox: Sandbox, stack: str) -> dict[str, str]:
    """Return the secrets that a user would set, as the README says, and that are not set yet."""
    file = sandbox.platform_repository.folder / f"Pulumi.{stack}.yaml"
    config = yaml.safe_load(file.read_text())["config"]
    secret_values = {
        "github:token": sandbox.github.token,
        "fleet:pullToken": sandbox.github.read_token,
    }
    tenants = config.get("fleet:tenants", ())
    if any(tenant.get("create") or tenant.get("deployKey") for tenant in tenants):
        seed = base64.b64encode(secrets.token_bytes(32)).decode()
        secret_values["fleet:deployKeySeed"] = seed
    missing = {key: value for key, value in secret_values.items() if key not in config}
    for tenant in tenants:
        name = tenant["name"]
        has_key = tenant.get("create") or tenant.get("deployKey")
        if not has_key and name not in config.get("fleet:tenantCredentials", {}):
            token = sandbox.tenant_repository(name).token
            missing[f"fleet:tenantCredentials.{name}.token"] = token
    return missing


def _program() -> None:
    runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    except automation.CommandError:
        # The output above has the engine's message.
        sys.exit(1)
