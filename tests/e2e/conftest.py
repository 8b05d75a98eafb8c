"""One sandbox for all end-to-end tests: brought up once, taken down at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.config import load
from fleet.process import run
from sandbox import __main__ as sandbox_main
from sandbox import platform_repository, report, tenant_repositories
from sandbox.build.parts import program
from sandbox.host import processes
from sandbox.host.files import CHECKOUT
from sandbox.kubernetes import clusters
from sandbox.pulumi import stacks

NAMES = ["dev", "prod", "test"]
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
# Kinds that change while nobody decides anything.
_RESTLESS = (
    ("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases"),
    ("", "componentstatuses"), ("networking.k8s.io", "ipaddresses"),
)  # fmt: skip


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

    def register(self, stack: str, *registered: Team) -> None:
        """Add teams to a stack's file; their credentials are added by `up`, as by a person."""
        lines = [
            {
                "name": team.name,
                "repository": {"url": tenant_repositories.url(self.state, team.name)},
            }
            | ({"inFluxSystem": {"because": "as it was"}} if team.in_flux_system else {})
            for team in registered
        ]
        self.decide(stack, tenants=[*self._config(stack).get("fleet:tenants", []), *lines])

    def unregister(self, stack: str, *registered: Team) -> None:
        """Remove teams from a stack's file, and their credentials with them."""
        gone = {team.name for team in registered}
        content = self._config(stack)
        left = [line for line in content["fleet:tenants"] if line["name"] not in gone]
        credentials = content["fleet:tenantCredentials"]
        self.decide(
            stack,
            tenants=left,
            tenantCredentials={k: v for k, v in credentials.items() if k not in gone},
        )

    def redecide(self, stack: str, team: Team, **changes: object) -> None:
        """Change keys of a team's entry in a stack's file."""
        entries = self.entries(stack, "tenants")
        (entry,) = (entry for entry in entries if entry["name"] == team.name)
        entry |= changes
        self.decide(stack, tenants=entries)

    def _config(self, stack: str) -> dict[str, Any]:
        content = yaml.safe_load((self.root / f"Pulumi.{stack}.yaml").read_text())
        config_of_stack: dict[str, Any] = content["config"]
        return config_of_stack

    def up(self, *names: str) -> list[stacks.Outcome]:
        """Run `up` for these stacks at once, and wait until all clusters are what Git says."""
        outcomes = stacks.up(self.state, names)
        self.converge()
        return outcomes

    def converge(self) -> None:
        """Wait until every cluster is Ready at what the head of the branch says about it."""
        head = platform_repository.head(self.state)
        report.wait_converged(self.state, NAMES, head, 180)

    def commits(self, since: str | None = None) -> list[str]:
        """Return the subjects of the branch's commits after `since`, oldest first."""
        platform_repository.pull(self.state)
        span = f"{since}..HEAD" if since else "HEAD"
        out = platform_repository.git(self.state, "log", "--reverse", "--format=%s", span)
        return out.splitlines()

    def github_calls(self) -> int:
        """Return how many calls GitHub's API has answered so far."""
        log = processes.log_file(self.state, "github").read_text()
        return sum(" /api/v3/" in line for line in log.splitlines())

    def head(self) -> str:
        """Return the commit that the branch is at."""
        return platform_repository.head(self.state)

    def workloads(self, cluster: str) -> Mapping[str, str]:
        """Return resourceVersion by name of what Flux applied, Flux's own objects apart."""
        kinds = ["deployments", "services", "configmaps", "namespaces"]
        kinds += ["validatingpolicies", "imagevalidatingpolicies"]
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

    def credential(self, stack: str, team: Team, token: str) -> None:
        """Give the platform another token for a team's repository."""
        key = f"fleet:tenantCredentials.{team.name}.token"
        self.pulumi("config", "set", "--secret", "--path", "--stack", stack, key, stdin=token)

    def pulumi(self, *args: str, accept: tuple[int, ...] = (0,), stdin: str | None = None) -> str:
        """Run the engine's command line, as a person would."""
        return run(
            [program("pulumi"), *args, "--non-interactive"],
            timeout=600,
            cwd=self.root,
            env=stacks.environment(self.state),
            accept=accept,
            stdin=stdin,
        )

    def pid(self, process: str) -> int:
        """Return the pid of one of the sandbox's processes."""
        record = json.loads((self.state / "processes" / f"{process}.json").read_text())
        return int(record["pid"])

    def ports(self) -> list[int]:
        """Return every port of the sandbox."""
        return list(json.loads((self.state / "ports.json").read_text()).values())

    def kubectl(self, cluster: str, *args: str, stdin: str | None = None) -> str:
        """Do something in a cluster as its administrator."""
        return clusters.kubectl(self.state, cluster, *args, stdin=stdin)

    def get(self, cluster: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one object, or None where there is none."""
        out = clusters.kubectl(
            self.state, cluster, "get", kind, name, "--namespace", namespace, "-o", "json",
            "--ignore-not-found",
        )  # fmt: skip
        found: dict[str, Any] | None = json.loads(out) if out else None
        return found

    def names(self, cluster: str, namespace: str, *kinds: str) -> set[str]:
        """Return the names of all objects of some kinds in a namespace."""
        out = clusters.kubectl(
            self.state, cluster, "get", ",".join(kinds), "--namespace", namespace, "-o", "json"
        )
        return {item["metadata"]["name"] for item in json.loads(out)["items"]}

    def reconcile(self, cluster: str, kind: str, namespace: str, name: str) -> None:
        """Have Flux look at it now, as `flux reconcile` does."""
        clusters.kubectl(
            self.state, cluster, "annotate", "--overwrite", kind, name, "--namespace", namespace,
            f"reconcile.fluxcd.io/requestedAt={time.time()}",
        )  # fmt: skip

    def snapshot(self, cluster: str) -> dict[str, Any]:
        """Return every object of a cluster, as "Kind.group namespace/name", as it is decided.

        Without what changes by itself: status, book-keeping, events, leases and allocations.
        """
        objects = {}
        for path, kind in self._listable(cluster):
            for item in clusters.get(self.state, cluster, path)["items"]:
                metadata = item["metadata"]
                for key in ("managedFields", "resourceVersion", "generation"):
                    metadata.pop(key, None)
                annotations = metadata.pop("annotations", {})
                annotations.pop("reconcile.fluxcd.io/requestedAt", None)
                metadata |= {"annotations": annotations} if annotations else {}
                item.pop("status", None)
                objects[f"{kind} {metadata.get('namespace', '')}/{metadata['name']}"] = item
        return objects

    def _listable(self, cluster: str) -> Iterator[tuple[str, str]]:
        """Give where the objects of each kind are listed, in the version that is preferred."""
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        for root in ("/api", "/apis"):
            for group in clusters.get(self.state, cluster, root, accept)["items"]:
                name = group["metadata"].get("name", "")
                for kind in group["versions"][0]["resources"]:
                    path = "/".join(filter(None, (root, name, group["versions"][0]["version"])))
                    if "list" in kind["verbs"] and (name, kind["resource"]) not in _RESTLESS:
                        yield f"{path}/{kind['resource']}", f"{kind['responseKind']['kind']}.{name}"

    def replicas(self, cluster: str, namespace: str) -> dict[str, int]:
        """Return available replicas by Deployment of a namespace."""
        out = clusters.kubectl(
            self.state, cluster, "get", "deployments", "--namespace", namespace, "-o", "json"
        )
        return {
            item["metadata"]["name"]: item["status"].get("availableReplicas", 0)
            for item in json.loads(out)["items"]
        }


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team with a repository of its own."""

    sandbox: Sandbox
    name: str
    in_flux_system: bool = False

    @property
    def source(self) -> str:
        """The name of its GitRepository and of the Secret with its credential."""
        return f"{self.name}-repo"

    @property
    def kustomization(self) -> str:
        """The name of its Flux Kustomization."""
        return f"{self.name}-apps"

    def namespace(self, cluster: str) -> str:
        """Return where its app goes."""
        return f"{self.name}-{cluster}"

    def flux_namespace(self, cluster: str) -> str:
        """Return where its source and its Kustomization are."""
        return "flux-system" if self.in_flux_system else self.namespace(cluster)

    def create(self, clusters_of_it: Sequence[str]) -> None:
        """Make its repository, with an app in each cluster's folder."""
        tenant_repositories.create(self.sandbox.state, self.name)
        self.push(self.files(clusters_of_it, "1"), "Start")

    def delete(self) -> None:
        """Remove its repository."""
        tenant_repositories.delete(self.sandbox.state, self.name)

    def files(self, clusters_of_it: Sequence[str], version: str) -> dict[str, str]:
        """Return an app, fit for a strict namespace, for each of these clusters."""
        files = {"README.md": f"# {self.name}\n"}
        for cluster in clusters_of_it:
            folder = f"deploy/{cluster}"
            files[f"{folder}/kustomization.yaml"] = yaml.safe_dump({"resources": ["app.yaml"]})
            files[f"{folder}/app.yaml"] = yaml.safe_dump_all(_app(version))
        return files

    def push(self, files: Mapping[str, str | bytes | Path], message: str) -> str:
        """Make these files the repository's only ones; return the commit."""
        tenant_repositories.write(self.sandbox.state, self.name, files)
        return tenant_repositories.push(self.sandbox.state, self.name, message)

    def wait(self, cluster: str, revision: str, seconds: float = 60) -> tuple[bool, str]:
        """Have Flux look at the repository and wait until it has tried this commit.

        Returns whether it is applied, and Flux's message.
        """
        namespace = self.flux_namespace(cluster)
        self.sandbox.reconcile(cluster, "gitrepository", namespace, self.source)
        outcome: list[tuple[bool, str]] = []

        def tried() -> bool:
            found = self.sandbox.get(cluster, KUSTOMIZATIONS, namespace, self.kustomization) or {}
            status = found.get("status", {})
            outcome[:] = [
                (condition["status"] == "True", condition["message"])
                for condition in status.get("conditions", ())
                if condition["type"] == "Ready" and condition["status"] != "Unknown"
            ]
            attempted: str = status.get("lastAttemptedRevision", "")
            return attempted.endswith(f":{revision}") and bool(outcome)

        eventually(tried, seconds)
        return outcome[0]

    def expect_app(self, cluster: str, version: str) -> None:
        """Assert that its app runs in this version."""
        namespace = self.namespace(cluster)
        eventually(lambda: self.sandbox.replicas(cluster, namespace) == {"app": 1}, 60)
        config_map = self.sandbox.get(cluster, "configmap", namespace, "app")
        assert config_map is not None
        assert config_map["data"] == {"version": version}

    def expect_gone(self, cluster: str) -> None:
        """Assert that nothing of it is in a cluster, soon."""
        namespace = self.namespace(cluster)
        eventually(lambda: namespace not in self.sandbox.namespaces(cluster), 60)
        left = [
            key
            for key, item in self.sandbox.snapshot(cluster).items()
            if item["metadata"].get("namespace") == namespace
            or self.name in item["metadata"]["name"]
        ]
        assert left == []


def _app(version: str) -> list[dict[str, Any]]:
    labels = {"app.kubernetes.io/name": "app"}
    container = {
        "name": "app",
        "image": f"registry.example.com/app:{version}",
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "32Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "app"},
            "data": {"version": version},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    ]


def eventually(true: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until the function says True."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@contextmanager
def watching(look: Callable[[], None]) -> Iterator[None]:
    """Look again and again, beside what the block does."""
    end = threading.Event()

    def run() -> None:
        while not end.wait(0.1):
            look()

    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(run)
        try:
            yield
        finally:
            end.set()
        looking.result()


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a session, and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Bring the sandbox up from nothing, as `make sandbox` does, in a folder of its own."""
    state = tmp_path_factory.mktemp("e2e") / "sandbox"
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    try:
        assert [stack.name for stack in load.stacks(CHECKOUT)] == NAMES
        assert sandbox_main.up(state, say) == 0
        yield Sandbox(state=state)
    finally:
        processes.stop_all(state)
