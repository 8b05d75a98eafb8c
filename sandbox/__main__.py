"""`python -m sandbox up|down|tools`: what the Makefile calls."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.config import load
from fleet.errors import FleetError
from sandbox import platform_repository, report, servers
from sandbox.build import parts, tools
from sandbox.build.parts import program
from sandbox.host import certificates, processes
from sandbox.host.files import CHECKOUT
from sandbox.kubernetes import clusters, flux_controllers
from sandbox.pulumi import stacks
from sandbox.sandbox_error import SandboxError

STATE = CHECKOUT / ".sandbox"
CONVERGE_TIMEOUT = 300
Say = Callable[[str], None]


def main() -> int:
    """Run one command; return 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    commands.add_parser("up", help="build what is missing, bring everything up, print the table")
    commands.add_parser("down", help="stop everything that `up` started and remove its state")
    build = commands.add_parser("tools", help="only build what is missing")
    build.add_argument("--tests", action="store_true", help="build also what only tests need")
    args = parser.parse_args()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    try:
        if args.command == "tools":
            tools.build(say, tuple(parts.PARTS) if args.tests else parts.SANDBOX_PARTS)
            return 0
        with _alone(STATE):
            return up(STATE, say) if args.command == "up" else down(STATE, say)
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command again goes on", file=sys.stderr)
        return 130


def up(state: Path, say: Say) -> int:
    """Bring all stacks of the checkout to their desired state and show it; return 0 if it is."""
    decided = load.stacks(CHECKOUT)
    names = [stack.name for stack in decided]
    tools.build(say)
    bring_up_machines(state, names, say)
    platform_repository.prepare(state, CHECKOUT, tools.manifests())
    say(f"pushed apps/ and infrastructure/ to {servers.github_url(state)}")
    say(f"kubernetes plugin: {stacks.provide_kubernetes_plugin(state)}")
    for outcome in bring_up_stacks(state, names, say):
        counts = ", ".join(f"{count} {what}" for what, count in sorted(outcome.changes.items()))
        say(f"pulumi up -s {outcome.stack}: {counts}")
    took = report.wait_converged(state, names, platform_repository.head(state), CONVERGE_TIMEOUT)
    for name, seconds in took.items():
        say(f"{name}: every Flux Kustomization is Ready ({seconds:.0f} s after the last commit)")
    cells = report.table(state, decided)
    print(f"\n{report.as_text(cells, names)}\n")
    for line in (wrong := report.mismatches(cells)):
        print(line, file=sys.stderr)
    kubeconfig = os.path.relpath(clusters.kubeconfig_file(state))
    kubectl = "kubectl" if shutil.which("kubectl") else program("kubectl")
    print("Look around:")
    for name in names:
        print(
            f"  {kubectl} --kubeconfig {kubeconfig} --context {clusters.context(name)} "
            "get kustomizations,deployments -A"
        )
    print(f"  git -C {os.path.relpath(platform_repository.folder(state))} log origin/main")
    return 1 if wrong else 0


def bring_up_machines(state: Path, names: list[str], say: Say) -> None:
    """Start, or start again, the servers and the clusters."""
    state.mkdir(parents=True, exist_ok=True)
    servers.start(state, tools.charts(), tools.public_repositories())
    say("GitHub and internet stand-ins are up")
    clusters.start(state, names)
    say(f"clusters are up: {', '.join(names)}")


def bring_up_stacks(state: Path, names: list[str], say: Say) -> list[stacks.Outcome]:
    """Run `pulumi up` for all stacks at once, and Flux's controllers once they are planted."""
    running = [stacks.start_up(state, name) for name in names]
    try:
        _run_controllers(state, names, running, say)
        return [up.outcome() for up in running]
    finally:
        for up in running:
            up.stop()


def _run_controllers(
    state: Path, names: list[str], running: list[stacks.Running], say: Say
) -> None:
    waiting = set(names)
    while waiting or not all(up.finished() for up in running):
        for name in sorted(waiting):
            names_running = flux_controllers.start(
                state,
                name,
                ca_bundle=certificates.ca_bundle(state),
                https_proxy=servers.proxy_url(state),
            )
            if len(names_running) == len(flux_controllers.CONTROLLERS):
                waiting.discard(name)
                say(f"{name}: Flux's controllers run")
        if any(up.finished() and up.process.returncode for up in running):
            return
        time.sleep(0.5)


def down(state: Path, say: Say) -> int:
    """Stop what runs and remove the state folder."""
    stopped = processes.stop_all(state)
    shutil.rmtree(state, ignore_errors=True)
    say(f"stopped {len(stopped)} processes" if stopped else "nothing was running")
    return 0


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep a second run out while one is going on."""
    lock = state.with_name(f"{state.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError("another `make sandbox` is at work here; wait for it") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
