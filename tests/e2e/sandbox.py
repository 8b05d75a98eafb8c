"""A running sandbox and its tenants, with the actions and questions of the end-to-end tests."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.build.tools import Say
from sandbox.pulumi.stacks import Outcome
from sandbox.sandbox import Sandbox as BaseSandbox
from sandbox.tenant_repository import TenantRepository
from tests.e2e.api import Api
from tests.e2e.support import eventually

NAMES = ["dev", "prod", "test"]
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
# Objects of these kinds change by themselves.
_EXCLUDED_KINDS = (
    ("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases"),
    ("", "componentstatuses"), ("networking.k8s.io", "ipaddresses"),
)  # fmt: skip


class Sandbox(BaseSandbox):
    """A running sandbox with what tests do in it."""

    def __init__(self, state: Path, clusters: Sequence[str], left_out: str | None = None) -> None:
        """Leave out the entries of infrastructure whose path contains `left_out`."""
        super().__init__(state, clusters)
        self.names = tuple(clusters)
        self._left_out = left_out
        self._apis = {name: Api(cluster=self.clusters.cluster(name)) for name in clusters}

    @property
    def root(self) -> Path:
        """The platform team's working copy."""
        return self.platform_repository.folder

    def configure(self, stack: str, **changes: Any) -> None:  # noqa: ANN401 - any YAML
        """Set keys of a stack file."""
        file = self.root / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        content["config"] |= {f"fleet:{key}": value for key, value in changes.items()}
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def entries(self, stack: str, key: str) -> list[Any]:
        """Return a list of a stack file."""
        entries: list[Any] = self._config(stack)[f"fleet:{key}"]
        return entries

    def register(self, stack: str, *tenants: Tenant) -> None:
        """Add tenants to a stack file; `up` adds their credentials, as a person does."""
        entries = [
            {"name": tenant.name, "repository": {"url": tenant.repository.url}}
            | ({"inFluxSystem": {"because": "as it was"}} if tenant.in_flux_system else {})
            for tenant in tenants
        ]
        self.configure(stack, tenants=[*self._config(stack).get("fleet:tenants", []), *entries])

    def unregister(self, stack: str, *tenants: Tenant) -> None:
        """Remove tenants and their credentials from a stack file."""
        gone = {tenant.name for tenant in tenants}
        config = self._config(stack)
        credentials = config["fleet:tenantCredentials"]
        self.configure(
            stack,
            tenants=[entry for entry in config["fleet:tenants"] if entry["name"] not in gone],
            tenantCredentials={k: v for k, v in credentials.items() if k not in gone},
        )

    def change_tenant(self, stack: str, tenant: Tenant, **changes: object) -> None:
        """Set keys of a tenant's entry in a stack file."""
        entries = self.entries(stack, "tenants")
        (entry,) = (entry for entry in entries if entry["name"] == tenant.name)
        entry |= changes
        self.configure(stack, tenants=entries)

    def _up(self, names: Sequence[str], say: Say, *options: str) -> list[Outcome]:
        if self._left_out is not None:
            for name in names:
                entries = self.entries(name, "infrastructure")
                kept = [entry for entry in entries if self._left_out not in str(entry)]
                self.configure(name, infrastructure=kept)
        return super()._up(names, say, *options)

    def _config(self, stack: str) -> dict[str, Any]:
        content = yaml.safe_load((self.root / f"Pulumi.{stack}.yaml").read_text())
        config: dict[str, Any] = content["config"]
        return config

    def up(self, *names: str) -> list[Outcome]:
        """Run `up` for these stacks at once and wait until all clusters are as Git says."""
        outcomes = self.stacks.up(names)
        self.converge()
        return outcomes

    def up_with_flux(self, *names: str) -> list[Outcome]:
        """Run `up` for stacks whose clusters were rebuilt and have no running Flux yet.

        A refresh before the program would ask for the former cluster.
        """
        return self._up(names, lambda _: None, "--run-program")

    def start_flux(self, cluster: str) -> None:
        """Start Flux's controllers, which a cluster has no kubelet to start."""
        self._flux_controllers(cluster).start()

    def converge(self) -> None:
        """Wait until all clusters are Ready at the head of the branch."""
        self.report.wait_converged(self.names, self.head(), 180)

    def commits(self, since: str | None = None) -> list[str]:
        """Return the subjects of the branch's commits after `since`, oldest first."""
        self.platform_repository.pull()
        span = f"{since}..HEAD" if since else "HEAD"
        log = self.platform_repository.git("log", "--reverse", "--format=%s", span)
        return log.splitlines()

    def github_calls(self) -> int:
        """Return the number of calls that GitHub's API has answered so far."""
        log = self.processes.log_file("github").read_text()
        return sum(" /api/v3/" in line for line in log.splitlines())

    def head(self) -> str:
        """Return the last commit of the branch."""
        return self.platform_repository.head()

    def workloads(self, cluster: str) -> Mapping[str, str]:
        """Return resourceVersion by name of what Flux applied, without Flux's own objects."""
        kinds = ["deployments", "services", "configmaps", "namespaces"]
        kinds += ["validatingpolicies", "imagevalidatingpolicies"]
        selector = "kustomize.toolkit.fluxcd.io/name!=flux-system"
        workloads = {}
        for kind in kinds:
            for item in self._apis[cluster].objects(kind, labels=selector):
                metadata = item["metadata"]
                if "kustomize.toolkit.fluxcd.io/name" in metadata.get("labels", {}):
                    name = f"{kind} {metadata.get('namespace')}/{metadata['name']}"
                    workloads[name] = metadata["resourceVersion"]
        return workloads

    def namespaces(self, cluster: str) -> set[str]:
        """Return the names of all namespaces."""
        return {item["metadata"]["name"] for item in self.objects(cluster, "namespaces")}

    def set_credential(self, stack: str, tenant: Tenant, token: str) -> None:
        """Give the platform another token for a tenant's repository."""
        key = f"fleet:tenantCredentials.{tenant.name}.token"
        self.stacks.run_pulumi(
            "config", "set", "--secret", "--path", "--stack", stack, key, stdin=token
        )

    def kubectl(self, cluster: str, *args: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator of a cluster."""
        return self.clusters.cluster(cluster).kubectl(*args, stdin=stdin)

    def get(self, cluster: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """Return one object, or None if it does not exist."""
        return self._apis[cluster].get(kind, namespace, name)

    def objects(self, cluster: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind in a namespace, or in all."""
        return self._apis[cluster].objects(kind, namespace)

    def object_names(self, cluster: str, namespace: str, *kinds: str) -> set[str]:
        """Return the names of all objects of these kinds in a namespace."""
        return {
            item["metadata"]["name"]
            for kind in kinds
            for item in self.objects(cluster, kind, namespace)
        }

    def reconcile(self, cluster: str, kind: str, namespace: str, name: str) -> None:
        """Ask Flux to reconcile an object now, as `flux reconcile` does."""
        self.kubectl(
            cluster, "annotate", "--overwrite", kind, name, "--namespace", namespace,
            f"reconcile.fluxcd.io/requestedAt={time.time()}",
        )  # fmt: skip

    def start_controllers(self, cluster: str) -> None:
        """Start the controllers of Flux that do not run, as a kubelet does."""
        self._start_flux_controllers([cluster], [], print)

    def snapshot(self, cluster: str) -> dict[str, Any]:
        """Return every object of a cluster by "Kind.group namespace/name".

        Leaves out what changes by itself (status, resource versions, events and leases) and the
        annotations with which `up` asks Flux for a pull.
        """
        objects = {}
        for kind in self._apis[cluster].listable():
            if (kind.group, kind.plural) in _EXCLUDED_KINDS:
                continue
            for item in self.clusters.cluster(cluster).objects(kind.path()):
                metadata = item["metadata"]
                for key in ("managedFields", "resourceVersion", "generation"):
                    metadata.pop(key, None)
                annotations = metadata.pop("annotations", {})
                for key in ("reconcile.fluxcd.io/requestedAt", "pulumi.com/waitFor"):
                    annotations.pop(key, None)
                metadata |= {"annotations": annotations} if annotations else {}
                item.pop("status", None)
                name = f"{metadata.get('namespace', '')}/{metadata['name']}"
                objects[f"{kind.name}.{kind.group} {name}"] = item
        return objects

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return the resources of a stack's state.

        Leaves out what the engine writes anew at every refresh: a time, and dependencies of inputs
        that have none.
        """
        exported = self.stacks.run_pulumi("stack", "export", "--show-secrets", "--stack", stack)
        resources: list[dict[str, Any]] = json.loads(exported)["deployment"].get("resources", [])
        for resource in resources:
            resource.pop("modified", None)
            needs = resource.pop("propertyDependencies", {})
            resource["needs"] = {key: urns for key, urns in needs.items() if urns}
        return resources

    def answers(self, cluster: str) -> bool:
        """Return whether a cluster lists the objects of every kind that it has."""
        admin = self.clusters.cluster(cluster).admin
        kinds = self._apis[cluster].listable()
        return all(admin.try_get(kind.path()) is not None for kind in kinds)

    def replicas(self, cluster: str, namespace: str) -> dict[str, int]:
        """Return the available replicas of each Deployment in a namespace."""
        return {
            item["metadata"]["name"]: item["status"].get("availableReplicas", 0)
            for item in self.objects(cluster, "deployments", namespace)
        }


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A tenant with a repository of its own."""

    sandbox: Sandbox
    name: str
    in_flux_system: bool = False

    @property
    def repository(self) -> TenantRepository:
        """Its repository and working copy."""
        return self.sandbox.tenant_repository(self.name)

    @property
    def source(self) -> str:
        """The name of its GitRepository and of the Secret with its credential."""
        return f"{self.name}-repo"

    @property
    def kustomization(self) -> str:
        """The name of its Flux Kustomization."""
        return f"{self.name}-apps"

    def namespace(self, cluster: str) -> str:
        """Return the namespace of its app."""
        return f"{self.name}-{cluster}"

    def flux_namespace(self, cluster: str) -> str:
        """Return the namespace of its source and its Kustomization."""
        return "flux-system" if self.in_flux_system else self.namespace(cluster)

    def create(self, clusters: Sequence[str]) -> None:
        """Create its repository, with an app in each cluster's folder."""
        self.repository.create()
        self.push(self.files(clusters, "1"), "Start")

    def delete(self) -> None:
        """Delete its repository."""
        self.repository.delete()

    def files(self, clusters: Sequence[str], version: str) -> dict[str, str]:
        """Return an app for each of these clusters that a restricted namespace admits."""
        files = {"README.md": f"# {self.name}\n"}
        for cluster in clusters:
            folder = f"deploy/{cluster}"
            files[f"{folder}/kustomization.yaml"] = yaml.safe_dump({"resources": ["app.yaml"]})
            files[f"{folder}/app.yaml"] = yaml.safe_dump_all(_app(version))
        return files

    def push(self, files: Mapping[str, str | bytes | Path], message: str) -> str:
        """Replace all files of the repository by these; return the commit."""
        self.repository.write(files)
        return self.repository.push(message)

    def wait(self, cluster: str, revision: str, seconds: float = 60) -> tuple[bool, str]:
        """Ask Flux to pull the repository and wait until it has tried to apply this commit.

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
        """Assert that a cluster soon has no object of the tenant."""
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
