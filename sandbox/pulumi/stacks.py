"""`pulumi up` in a sandbox: the real command line, a process for each stack.

Several stacks run at the same time, as they do in several pipelines.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.config.stack_files import PROJECT
from fleet.process import run
from sandbox.build import parts
from sandbox.build.parts import program
from sandbox.host.certificates import Certificates
from sandbox.host.checkout import CHECKOUT
from sandbox.host.processes import CLEAN_ENVIRONMENT
from sandbox.host.secret_files import secret_file
from sandbox.pulumi import language_host
from sandbox.sandbox_error import SandboxError

UP_TIMEOUT = 15 * 60
KUBERNETES_PLUGIN = "pulumi-resource-kubernetes"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one `up`: the number of resources by operation, as create, update, same."""

    stack: str
    changes: dict[str, int]

    @property
    def unchanged(self) -> bool:
        """True if no resource changed."""
        return set(self.changes) <= {"same"}


@dataclass(frozen=True, kw_only=True)
class Running:
    """An `up` that was started."""

    stacks: Stacks
    stack: str
    process: subprocess.Popen[bytes]
    log: Path

    def finished(self) -> bool:
        """Return whether it has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Interrupt it as Ctrl-C does; the next `up` of the stack completes the work."""
        if not self.finished():
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=60)

    def outcome(self) -> Outcome:
        """Wait for the end. Raises SandboxError with the engine's message when it failed."""
        if self.process.wait(timeout=UP_TIMEOUT) != 0:
            raise SandboxError(f"pulumi up -s {self.stack}: {self._error()}; full log: {self.log}")
        history = self.stacks.run_pulumi(
            "stack", "history", "--json", "--page-size", "1", "--stack", self.stack
        )
        return Outcome(stack=self.stack, changes=json.loads(history)[0]["resourceChanges"])

    def _error(self) -> str:
        lines = [line for line in self.log.read_text().splitlines() if line.strip()]
        starts = [
            index
            for index, line in enumerate(lines)
            if "error:" in line and "update failed" not in line
        ]
        if not starts:
            return " ".join(line.strip() for line in lines[-3:])
        # The first line of a provider's error only counts the errors; those below name them.
        # The engine says so of a plugin that ends while it stops after another error.
        causes = [index for index in starts if "exited prematurely" not in lines[index]] or starts
        last = [line.strip() for line in lines[causes[-1] :]]
        named = itertools.takewhile(lambda line: line.startswith("*"), last[2:])
        return " ".join([*last[:2], *named])


@dataclass(frozen=True, kw_only=True)
class Stacks:
    """The Pulumi stacks of one sandbox. `working_copy` is the platform team's."""

    state: Path
    certificates: Certificates
    working_copy: Path

    def start_up(self, stack: str, *options: str) -> Running:
        """Set the secrets of a stack that are missing, and start its `pulumi up` with options."""
        log = self.state / "logs" / f"pulumi-{stack}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.pulumi", str(self.state), stack, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.working_copy,
                env=self.environment() | {"PYTHONPATH": str(CHECKOUT)},
                # A session of its own lets `stop` reach the engine and its plugins too.
                start_new_session=True,
            )
        return Running(stacks=self, stack=stack, process=process, log=log)

    def up(self, stacks: Sequence[str]) -> list[Outcome]:
        """Run `up` for these stacks at the same time and wait for all of them."""
        started = [self.start_up(stack) for stack in stacks]
        return [running.outcome() for running in started]

    def run_pulumi(
        self, *args: str, accept: Container[int] = (0,), stdin: str | None = None
    ) -> str:
        """Run a `pulumi` command in the working copy and return its output."""
        return run(
            [program("pulumi"), *args, "--non-interactive"],
            timeout=600,
            cwd=self.working_copy,
            env=self.environment(),
            accept=accept,
            stdin=stdin,
        )

    def is_initialized(self, stack: str) -> bool:
        """Return whether the stack has a state."""
        return (self._backend / "stacks" / PROJECT / f"{stack}.json").exists()

    def is_locked(self, stack: str) -> bool:
        """Return whether an `up` of the stack runs or was killed."""
        return any((self._backend / "locks").rglob(f"{stack}/*.json"))

    def provide_plugins(self) -> dict[str, str]:
        """Put the engine's plugins on its PATH and return by name which ones they are.

        A plugin on the caller's PATH, which is an official one, is preferred.
        """
        plugins = {}
        for name in (KUBERNETES_PLUGIN, language_host.PROGRAM):
            link = self._bin / name
            link.parent.mkdir(exist_ok=True)
            if installed := shutil.which(name):
                parts.link(link, Path(installed))
                plugins[name] = f"official, {installed}"
            elif name == KUBERNETES_PLUGIN:
                parts.link(link, program(name))
                plugins[name] = f"official, {parts.PARTS['pulumi-kubernetes'].version}, built here"
            else:
                language_host.install(link)
                plugins[name] = "stand-in over the server of Pulumi's SDK"
        return plugins

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the engine, without any variable of the caller."""
        programs = ("pulumi-resource-github", "pulumi", "kubectl")
        path = [self._bin, *(program(name).parent for name in programs)]
        return {
            **CLEAN_ENVIRONMENT,
            "PATH": os.pathsep.join([*(str(folder) for folder in path), os.defpath]),
            "HOME": str(self._folder),
            "PULUMI_HOME": str(self._home()),
            # The engine would write a file of metadata beside each state, and could not read the
            # state any more if it was killed in the middle of that.
            "PULUMI_BACKEND_URL": f"file://{self._folder}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase_file()),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The sandbox's provider is older than its setting enablePatchForce, which the program
            # uses. This variable is the same setting for it.
            "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
            # The sandbox's own authority signs the certificate of its GitHub.
            "SSL_CERT_FILE": str(self.certificates.ca_bundle),
        }

    @property
    def _folder(self) -> Path:
        return self.state / "pulumi"

    @property
    def _backend(self) -> Path:
        return self._folder / ".pulumi"

    @property
    def _bin(self) -> Path:
        return self.state / "bin"

    def _home(self) -> Path:
        """Return the engine's own folder, with a file where the engine wants a folder for logs.

        A log has all properties of all resources, 16 MB for one `up`, and writing it takes half of
        the engine's CPU time. The engine does without when it cannot write.
        """
        home = self._folder / "home"
        files.write(home / "logs", b"")
        return home

    def _passphrase_file(self) -> Path:
        return secret_file(self._folder / "passphrase")
