"""Run one `pulumi up`: `python -m sandbox.pulumi STATE STACK [OPTION]...`.

Secrets that a user sets by hand are set first, if the stack file needs them and lacks them. Then
this process becomes the `pulumi` command.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

import yaml

from sandbox.build.parts import program
from sandbox.sandbox import Sandbox


def main(state: Path, stack: str, *given: str) -> None:
    """Set what is missing and run `pulumi up` in place of this process."""
    sandbox = Sandbox(state)
    if not sandbox.stacks.is_initialized(stack):
        sandbox.stacks.run_pulumi("stack", "init", stack)
    for key, value in _missing_secrets(sandbox, stack).items():
        # Standard input keeps the secret out of the command line, which every user can read.
        sandbox.stacks.run_pulumi(
            "config", "set", "--secret", "--path", "--stack", stack, key, stdin=value
        )
    if sandbox.stacks.is_locked(stack):
        # A sandbox runs one `up` of a stack at a time, so the lock is of one that was killed.
        sandbox.stacks.run_pulumi("cancel", "--yes", "--stack", stack)
    pulumi = str(program("pulumi"))
    options = (*given, "--yes", "--skip-preview", "--non-interactive", "--color", "never")
    env = sandbox.stacks.environment()
    os.execve(pulumi, [pulumi, "up", *options, "--stack", stack], env)  # noqa: S606 - no shell


def _missing_secrets(sandbox: Sandbox, stack: str) -> dict[str, str]:
    """Return the secrets that a user would set, as the README says, and that are not set yet."""
    file = sandbox.platform_repository.folder / f"Pulumi.{stack}.yaml"
    config = yaml.safe_load(file.read_text())["config"]
    secret_values = {
        "github:token": sandbox.platform_repository.token,
        "fleet:pullToken": sandbox.platform_repository.pull_token,
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
