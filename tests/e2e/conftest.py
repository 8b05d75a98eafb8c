"""One sandbox for all end-to-end tests: brought up once, taken down at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import config
from fleet.commands import run
from sandbox import __main__ as sandbox_main
from sandbox import clusters, platform_repository, processes, report, stacks
from sandbox.parts import program

NAMES = ["dev", "prod", "test"]


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A running sandbox and the few things that tests do with it."""

    state: Path

    @property
    def root(self) -> Path:
        """The platform team's working copy."""
        return platform_repository.folder(self.state)

    def decide(self, stack: str, **changes: Any) -> None:  # noqa: ANN401 - any YAML
        """Edit a stack's file."""
        file = self.root / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        content["config"] |= {f"fleet:{key}": value for key, value in changes.items()}
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def entries(self, stack: str, key: str) -> list[Any]:
        """Return a list of a stack's file as it stands there."""
        content = yaml.safe_load((self.root / f"Pulumi.{stack}.yaml").read_text())
        entries: list[Any] = content["config"][f"fleet:{key}"]
        return entries

    def up(self, *names: str) -> list[stacks.Outcome]:
        """Run `up` for these stacks at once, and wait until all clusters are where Git is."""
        outcomes = stacks.up(self.state, names)
        self.converge()
        return outcomes

    def converge(self) -> None:
        """Wait until every cluster is Ready at the head of the branch."""
        head = platform_repository.head(self.state)
        report.wait_converged(self.state, NAMES, head, 180)

    def commits(self, since: str | None = None) -> list[str]:
        """Return the subjects of the branch's commits after `since`, oldest first."""
        platform_repository.pull(self.state)
        span = f"{since}..HEAD" if since else "HEAD"
        out = platform_repository.git(self.state, "log", "--reverse", "--format=%s", span)
        return out.splitlines()

    def head(self) -> str:
        """Return the commit that the branch is at."""
        return platform_repository.head(self.state)

    def workloads(self, cluster: str) -> Mapping[str, str]:
        """Return resourceVersion by name of what Flux applied, Flux's own objects apart."""
        kinds = ["deployments", "services", "configmaps", "namespaces", "clusterpolicies"]
        return {
            f"{item['kind']} {item['metadata'].get('namespace')}/{item['metadata']['name']}": item[
                "metadata"
            ]["resourceVersion"]
            for item in report.get(
                self.state, cluster, kinds, "kustomize.toolkit.fluxcd.io/name!=flux-system"
            )
            if "kustomize.toolkit.fluxcd.io/name" in item["metadata"].get("labels", {})
        }

    def namespaces(self, cluster: str) -> set[str]:
        """Return the names of all namespaces."""
        return {item["metadata"]["name"] for item in report.get(self.state, cluster, ["ns"])}

    def pulumi(self, *args: str, accept: tuple[int, ...] = (0,)) -> str:
        """Run the engine's command line, as a person would."""
        return run(
            [program("pulumi"), *args, "--non-interactive"],
            timeout=600,
            cwd=self.root,
            env=stacks.environment(self.state),
            accept=accept,
        )

    def pid(self, process: str) -> int:
        """Return the pid of one of the sandbox's processes."""
        record = json.loads((self.state / "processes" / f"{process}.json").read_text())
        return int(record["pid"])

    def ports(self) -> list[int]:
        """Return every port of the sandbox."""
        return list(json.loads((self.state / "ports.json").read_text()).values())

    def replicas(self, cluster: str, namespace: str) -> dict[str, int]:
        """Return available replicas by Deployment of a namespace."""
        out = clusters.kubectl(
            self.state, cluster, "get", "deployments", "--namespace", namespace, "-o", "json"
        )
        return {
            item["metadata"]["name"]: item["status"].get("availableReplicas", 0)
            for item in json.loads(out)["items"]
        }


def eventually(true: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until the function says True."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Bring the sandbox up from nothing, as `make sandbox` does, in a folder of its own."""
    state = tmp_path_factory.mktemp("e2e") / "sandbox"
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    try:
        assert [stack.name for stack in config.load_all(sandbox_main.CHECKOUT)] == NAMES
        assert sandbox_main.up(state, say) == 0
        yield Sandbox(state=state)
    finally:
        processes.stop_all(state)
