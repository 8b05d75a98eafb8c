"""`pulumi up` in the sandbox: the real engine, through the Automation API, one process a stack.

The Python language host is on no package registry, so the engine runs `__main__.py` as an inline
program of a Python process. Several stacks go up at once, as they would from several pipelines.
"""

from __future__ import annotations

import base64
import json
import os
import runpy
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import yaml
from pulumi import automation

from fleet.config.stack_files import PROJECT
from fleet.errors import CommandError
from fleet.process import run
from sandbox import platform_repository, servers, tenant_repositories
from sandbox.build.parts import program
from sandbox.host import certificates, files
from sandbox.host.files import CHECKOUT
from sandbox.kubernetes import clusters
from sandbox.pulumi import kubernetes_plugin
from sandbox.sandbox_error import SandboxError

UP_TIMEOUT = 15 * 60


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one `up` did: resources by what happened to them, as create, update, same."""

    stack: str
    changes: dict[str, int]

    @property
    def unchanged(self) -> bool:
        """Whether nothing had to be done."""
        return set(self.changes) <= {"same"}


@dataclass(frozen=True, kw_only=True)
class Running:
    """An `up` that was started."""

    stack: str
    process: subprocess.Popen[bytes]
    log: Path
    result: Path

    def finished(self) -> bool:
        """Say whether it has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Interrupt it, as Ctrl-C would; the same `up` again completes what it began."""
        if not self.finished():
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=60)

    def outcome(self) -> Outcome:
        """Wait for the end. Raises SandboxError with the engine's own words when it failed."""
        if self.process.wait(timeout=UP_TIMEOUT) != 0:
            said = [line for line in self.log.read_text().splitlines() if line.strip()]
            starts = [
                index
                for index, line in enumerate(said)
                if "error:" in line and "update failed" not in line
            ]
            # A provider's error begins with a line that only counts.
            last = said[starts[-1] :][:2] if starts else said[-3:]
            error = " ".join(line.strip() for line in last)
            raise SandboxError(f"pulumi up -s {self.stack}: {error}; all of it: {self.log}")
        return Outcome(stack=self.stack, changes=json.loads(self.result.read_text()))


def provide_kubernetes_plugin(state: Path) -> str:
    """Make a `kubernetes` plugin available to the engine and say which one it is.

    The official one if it is installed or can be downloaded; else, decided once for this sandbox,
    the stand-in.
    """
    chosen = state / "pulumi" / "kubernetes-plugin"
    if not chosen.exists():
        files.write(chosen, _choose_kubernetes_plugin(state).encode(), 0o644)
    return chosen.read_text()


def _choose_kubernetes_plugin(state: Path) -> str:
    installed = shutil.which(kubernetes_plugin.PROGRAM)
    if installed is not None:
        (state / "bin").mkdir(exist_ok=True)
        (state / "bin" / kubernetes_plugin.PROGRAM).symlink_to(installed)
        return f"official, {installed}"
    version = metadata.version("pulumi-kubernetes")
    env = environment(state)
    del env["SSL_CERT_FILE"]  # this one download is from the real internet
    try:
        run(
            [program("pulumi"), "plugin", "install", "resource", "kubernetes", f"v{version}"],
            timeout=300,
            # The surroundings may know a proxy; they decide nothing otherwise.
            env=os.environ | env,
        )
    except CommandError:
        kubernetes_plugin.install(state / "bin", Path(sys.executable))
        return f"stand-in (the official {version} is neither installed nor obtainable)"
    return f"official, {version}, downloaded"


def start_up(state: Path, stack: str) -> Running:
    """Start `pulumi up -s <stack>` on the sandbox's working copy."""
    log = state / "logs" / f"pulumi-{stack}.log"
    result = state / "pulumi" / f"{stack}.json"
    result.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(state), stack, str(result)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=platform_repository.folder(state),
            env=environment(state) | {"PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,  # so that all of it can be stopped together
        )
    return Running(stack=stack, process=process, log=log, result=result)


def up(state: Path, stacks: Sequence[str]) -> list[Outcome]:
    """Run `up` for these stacks at the same time and wait for all of them."""
    started = [start_up(state, stack) for stack in stacks]
    return [running.outcome() for running in started]


def environment(state: Path) -> dict[str, str]:
    """Return the whole environment of the engine: nothing of the caller's decides anything."""
    return {
        **clusters.environment(),
        "PATH": os.pathsep.join(
            [
                str(state / "bin"),
                str(program("pulumi-resource-github").parent),
                str(program("pulumi").parent),
                os.defpath,
            ]
        ),
        "HOME": str(state / "pulumi"),
        "PULUMI_HOME": str(state / "pulumi" / "home"),
        "PULUMI_BACKEND_URL": f"file://{state / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase(state)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The GitHub of the sandbox has a certificate of the sandbox's own authority.
        "SSL_CERT_FILE": str(certificates.ca_bundle(state)),
    }


def _passphrase(state: Path) -> Path:
    file = state / "pulumi" / "passphrase"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, secrets.token_urlsafe(24).encode(), 0o600)
    return file


def _set_secrets(state: Path, stack: str) -> None:
    """Give the stack its tokens and its teams', encrypted, as the README tells a user to."""
    file = platform_repository.folder(state) / f"Pulumi.{stack}.yaml"
    pulumi: list[str | Path] = [program("pulumi"), "--non-interactive"]
    env, cwd = environment(state), platform_repository.folder(state)
    if not (state / "pulumi" / ".pulumi" / "stacks" / PROJECT / f"{stack}.json").exists():
        run([*pulumi, "stack", "init", stack], timeout=120, cwd=cwd, env=env)
    config = yaml.safe_load(file.read_text())["config"]
    wanted = {"github:token": servers.token(state), "fleet:pullToken": servers.read_token(state)}
    secrets_of_stack = {key: value for key, value in wanted.items() if key not in config}
    for tenant in config.get("fleet:tenants", ()):
        if tenant.get("create") or tenant.get("deployKey"):
            if "fleet:deployKeySeed" not in config:
                seed = base64.b64encode(secrets.token_bytes(32)).decode()
                secrets_of_stack["fleet:deployKeySeed"] = seed
        elif tenant["name"] not in config.get("fleet:tenantCredentials", {}):
            key = f"fleet:tenantCredentials.{tenant['name']}.token"
            secrets_of_stack[key] = tenant_repositories.token(state, tenant["name"])
    for key, value in secrets_of_stack.items():
        # By standard input: command lines are readable by everybody.
        run(
            [*pulumi, "config", "set", "--secret", "--path", "--stack", stack, key],
            timeout=60, cwd=cwd, env=env, stdin=value,
        )  # fmt: skip


def _program() -> None:
    runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__")


def _main(state: Path, stack: str, result: Path) -> None:
    """Run one `up` in this process; the engine calls back for the program."""
    _set_secrets(state, stack)
    selected = automation.select_stack(
        stack_name=stack,
        project_name=PROJECT,
        program=_program,
        opts=automation.LocalWorkspaceOptions(work_dir=str(Path.cwd())),
    )
    if any((state / "pulumi" / ".pulumi" / "locks").rglob(f"{stack}/*.json")):
        # Of an `up` that was killed: this sandbox runs no two at once for one stack.
        selected.cancel()
    done = selected.up(on_output=lambda line: print(line, flush=True), color="never")
    result.write_text(json.dumps(done.summary.resource_changes or {}))


if __name__ == "__main__":
    try:
        _main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    except automation.CommandError:
        # The engine has said why in the output above.
        sys.exit(1)
