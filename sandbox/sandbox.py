"""A whole sandbox: its parts, which keep all their files in one state folder."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fleet.config import load
from fleet.config.models import Stack
from sandbox.build import tools
from sandbox.build.tools import Say
from sandbox.host.certificates import Certificates
from sandbox.host.checkout import CHECKOUT
from sandbox.host.processes import Processes
from sandbox.kubernetes.clusters import Clusters
from sandbox.kubernetes.flux_controllers import CONTROLLERS, FluxControllers
from sandbox.platform_repository import PlatformRepository
from sandbox.pulumi.stacks import UP_TIMEOUT, Outcome, Running, Stacks
from sandbox.report import Report
from sandbox.sandbox_error import SandboxError
from sandbox.servers import GitHub, Internet
from sandbox.tenant_repository import TenantRepository

CONVERGE_TIMEOUT = 300
_SPOKE = "billing"
_SPOKE_FILES = Path(__file__).parent / "spoke"


class Sandbox:
    """A GitHub, an internet, clusters and stacks.

    `state` is an absolute path. Sandboxes with different state folders can run at the same time.
    Without `clusters`, each stack of the checkout has its cluster; with them, only these have.
    """

    def __init__(self, state: Path, clusters: Sequence[str] | None = None) -> None:
        self.state = state
        self._names = clusters
        self.processes = Processes(state)
        self.certificates = Certificates(state / "certificates")
        self.github = GitHub(state=state, processes=self.processes, certificates=self.certificates)
        self.internet = Internet(processes=self.processes, certificates=self.certificates)
        self.clusters = Clusters(
            state=state, processes=self.processes, certificates=self.certificates
        )
        self.platform_repository = PlatformRepository(
            folder=state / "platform", github=self.github, clusters=self.clusters
        )
        self.stacks = Stacks(
            state=state,
            certificates=self.certificates,
            working_copy=self.platform_repository.folder,
        )
        self.report = Report(
            clusters=self.clusters,
            platform_repository=self.platform_repository,
            clones=self._clones,
        )

    def tenant_repository(self, tenant: str) -> TenantRepository:
        """Return the repository of a tenant."""
        return TenantRepository(tenant=tenant, clones=self._clones, github=self.github)

    def start(self, say: Say, *, spoke: bool = False) -> bool:
        """Bring the stacks of all clusters to their desired state and print a table.

        With `spoke`, every cluster also gets the tenant billing, whose repository is made from
        the folder spoke/. Returns whether all objects of all clusters are as expected.
        """
        names = [stack.name for stack in self._stacks(CHECKOUT)]
        tools.build(say)
        self._start_machines(names, say)
        self.platform_repository.prepare(CHECKOUT, tools.manifests())
        say(f"pushed the program and its definitions to {self.platform_repository.url}")
        if spoke:
            self._add_spoke(names)
            say(f"pushed the repository of a tenant to {self.tenant_repository(_SPOKE).url}")
        for name, plugin in self.stacks.provide_plugins().items():
            say(f"{name}: {plugin}")
        for outcome in self._up(names, say):
            counts = ", ".join(f"{count} {name}" for name, count in sorted(outcome.changes.items()))
            say(f"pulumi up -s {outcome.stack}: {counts}")
        head = self.platform_repository.head()
        for name, seconds in self.report.wait_converged(names, head, CONVERGE_TIMEOUT).items():
            say(f"{name}: all Flux Kustomizations are Ready ({seconds:.0f} s after the last `up`)")
        in_working_copy = self._stacks(self.platform_repository.folder)
        table = self.report.wait_until_expected(in_working_copy, CONVERGE_TIMEOUT)
        print(f"\n{table}\n")
        mismatches = table.mismatches()
        if mismatches:
            reasons = [line for name in names for line in self.report.not_ready(name)]
            print(*mismatches, *reasons, sep="\n", file=sys.stderr)
        self.processes.check_all()
        self._print_next_commands(names)
        return not mismatches

    def stop(self) -> list[str]:
        """Stop all processes, remove the state folder and return the names of the processes."""
        stopped = self.processes.stop_all()
        shutil.rmtree(self.state, ignore_errors=True)
        return stopped

    @property
    def _clones(self) -> Path:
        return self.state / "tenants"

    def _stacks(self, root: Path) -> list[Stack]:
        """Return the stacks of a checkout that have a cluster here."""
        stacks = load.stacks(root)
        return [stack for stack in stacks if self._names is None or stack.name in self._names]

    def _add_spoke(self, names: Sequence[str]) -> None:
        """Create the repository of the tenant billing, and add the tenant to each stack file."""
        repository = self.tenant_repository(_SPOKE)
        if not repository.folder.is_dir():
            repository.create()
            files = (path for path in _SPOKE_FILES.rglob("*") if path.is_file())
            repository.write(
                {path.relative_to(_SPOKE_FILES).as_posix(): path.read_text() for path in files}
            )
            repository.push("Deploy billing to every environment")
        for name in names:
            self.platform_repository.add_tenant(name, _SPOKE, repository.url)

    def _start_machines(self, names: Sequence[str], say: Say) -> None:
        # The state folder holds keys and tokens, so only its owner may read it.
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)
        self.github.start()
        self.internet.start(tools.charts(), tools.public_repositories())
        say("the stand-ins of GitHub and the internet run")
        self.clusters.start(names)
        say(f"the clusters run: {', '.join(names)}")

    def _up(self, names: Sequence[str], say: Say, *options: str) -> list[Outcome]:
        """Run `pulumi up` for all stacks at once; return the outcomes."""
        running = [self.stacks.start_up(name, *options) for name in names]
        try:
            self._start_flux_controllers(names, running, say)
            return [up.outcome() for up in running]
        finally:
            for up in running:
                up.stop()

    def _start_flux_controllers(
        self, names: Sequence[str], running: Sequence[Running], say: Say
    ) -> None:
        """Start Flux's controllers in each cluster as soon as its `up` has created them.

        Raises SandboxError when they are not ready in the time that an `up` has.
        """
        waiting, deadline = set(names), time.monotonic() + UP_TIMEOUT
        while waiting or not all(up.finished() for up in running):
            for name in sorted(waiting):
                if len(self._flux_controllers(name).start()) == len(CONTROLLERS):
                    waiting.discard(name)
                    say(f"{name}: Flux's controllers are ready")
            if any(up.finished() and up.process.returncode for up in running):
                return
            if waiting and time.monotonic() > deadline:
                late = ", ".join(sorted(waiting))
                raise SandboxError(
                    f"{late}: Flux's controllers not ready within {UP_TIMEOUT:.0f} s"
                )
            time.sleep(0.5)

    def _flux_controllers(self, name: str) -> FluxControllers:
        return FluxControllers(
            cluster=self.clusters.cluster(name),
            ca_bundle=self.certificates.ca_bundle,
            https_proxy=self.internet.proxy_url,
        )

    def _print_next_commands(self, names: Sequence[str]) -> None:
        context = self.clusters.cluster(names[0]).context
        print("Look around with `make shell`. There these commands work, and more like them:")
        print(f"  pulumi preview -s {names[0]}          the same for up, stack and config")
        print("  fleet check                     also fleet render")
        print(f"  kubectl --context {context} get kustomizations,deployments -A")
        print("  git pull && git log             the commits of the tree, the newest first")
