"""Flux's controllers as processes of this machine, because kwok only pretends to run their pods.

A controller gets the arguments and the environment of its Deployment and the rights of its
ServiceAccount. Only what its image, the pod network or a volume would provide is replaced.
notification-controller does not run, because nothing receives its events.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import files
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render.flux import KUSTOMIZE_CONTROLLER, TENANTS_CONTROLLER
from sandbox.build.parts import program
from sandbox.host.processes import CLEAN_ENVIRONMENT, Command
from sandbox.kubernetes.access import Access, write_kubeconfig
from sandbox.kubernetes.cluster import Cluster

# The program of each controller, by the name of its Deployment.
CONTROLLERS: Mapping[str, str] = {
    "source-controller": "source-controller",
    KUSTOMIZE_CONTROLLER: "kustomize-controller",
    TENANTS_CONTROLLER: "kustomize-controller",
    "helm-controller": "helm-controller",
}
_TOKEN_SECONDS = 30 * 24 * 3600
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


@dataclass(frozen=True, kw_only=True)
class FluxControllers:
    """The Flux controllers of one cluster.

    `ca_bundle` is all that they trust outside of the cluster. source-controller reaches the
    outside through `https_proxy`, a URL.
    """

    cluster: Cluster
    ca_bundle: Path
    https_proxy: str

    def start(self) -> list[str]:
        """Run each controller that has a Deployment and a ServiceAccount; return the ready ones.

        A controller whose Deployment has changed is restarted, as is one that has ended: a kubelet
        does so too. One whose Deployment is gone or scaled to zero is stopped. Raises SandboxError
        when one dies at once, and when the cluster does not answer.
        """
        deployments = self._by_name("/apis/apps/v1", "deployments")
        accounts = self._by_name("/api/v1", "serviceaccounts")
        ready = []
        for name in CONTROLLERS:
            deployment = deployments.get(name)
            if deployment is None or deployment["spec"].get("replicas", 1) == 0:
                self.cluster.processes.stop(self.cluster.process(name))
                continue
            pod = deployment["spec"]["template"]["spec"]
            account = accounts.get(pod.get("serviceAccountName", "default"))
            if account is not None:
                self._start_controller(name, pod["containers"][0], account)
                if self._is_ready(name):
                    ready.append(name)
        return ready

    def _by_name(self, version: str, kind: str) -> dict[str, dict[str, Any]]:
        found = self.cluster.objects(f"{version}/namespaces/{FLUX_NAMESPACE}/{kind}")
        return {item["metadata"]["name"]: item for item in found}

    def _is_ready(self, name: str) -> bool:
        """Return whether a controller answers the readiness probe of its Deployment."""
        # A proxy that the environment names must not get this request, so it is no urlopen.
        connection = http.client.HTTPConnection(self._health(name), timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False  # It starts, or it has ended.
        finally:
            connection.close()

    def _health(self, name: str) -> str:
        process = self.cluster.process(name)
        return f"127.0.0.1:{self.cluster.processes.port(f'{process}/health')}"

    def _start_controller(
        self, name: str, container: Mapping[str, Any], account: Mapping[str, Any]
    ) -> None:
        folder = self.cluster.state / "flux" / self.cluster.name / name
        for part in ("home", "tmp", "storage"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        kubeconfig = self._kubeconfig(folder, account)
        env = {
            **container_environment(container),
            **CLEAN_ENVIRONMENT,
            "RUNTIME_NAMESPACE": FLUX_NAMESPACE,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "TUF_ROOT": str(folder / "tmp" / "sigstore"),
            "KUBECONFIG": str(kubeconfig),
            "SSL_CERT_FILE": str(self.ca_bundle),
            # Without this, Go adds the machine's own authorities to the bundle.
            "SSL_CERT_DIR": "/dev/null",
        }
        if name == "source-controller":
            env["HTTPS_PROXY"] = self.https_proxy
        argv: list[str | Path] = [
            program(CONTROLLERS[name]),
            *arguments(container, env, self._flags(name, folder)),
        ]
        command = Command(argv, env, (self.ca_bundle, kubeconfig), folder)
        self.cluster.processes.ensure(self.cluster.process(name), command)

    def _flags(self, name: str, folder: Path) -> dict[str, object]:
        process, processes = self.cluster.process(name), self.cluster.processes
        flags: dict[str, object] = {
            "metrics-addr": "0",
            "health-addr": self._health(name),
            "events-addr": "",
            "enable-leader-election": "false",
            "watch-all-namespaces": "true",
        }
        if name == "source-controller":
            storage = f"127.0.0.1:{processes.port(f'{process}/storage')}"
            flags |= {
                "storage-path": folder / "storage",
                "storage-addr": storage,
                "storage-adv-addr": storage,
            }
        return flags

    def _kubeconfig(self, folder: Path, account: Mapping[str, Any]) -> Path:
        """Return a kubeconfig for the controller's ServiceAccount, with a token that is valid.

        The token has a file of its own, which client-go reads again every minute.
        """
        token_file = folder / "token"
        metadata = account["metadata"]
        known = token_file.read_text() if token_file.exists() else ""
        if not token_is_good(known, metadata["uid"], time.time()):
            token = self.cluster.kubectl(
                "create", "token", metadata["name"], f"--namespace={FLUX_NAMESPACE}",
                f"--duration={_TOKEN_SECONDS}s",
            )  # fmt: skip
            files.write(token_file, token.strip().encode(), mode=0o600)
        access = Access(
            server=self.cluster.server, authority=self.cluster.authority, token_file=token_file
        )
        file = folder / "kubeconfig"
        write_kubeconfig(file, {self.cluster.name: access})
        return file


def arguments(
    container: Mapping[str, Any], env: Mapping[str, str], flags: Mapping[str, object]
) -> list[str]:
    """Return a controller's arguments: the container's, then `flags`, named without dashes.

    Flux's flag parser uses the last value of a flag, so these replace the container's.
    """
    args = [expand(arg, env) for arg in container.get("args", ())]
    return [*args, *(f"--{flag}={value}" for flag, value in flags.items())]


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as a kubelet does: unknown names stay, `$$` is a plain dollar sign."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else env.get(name, match.group(0))

    return _REFERENCE.sub(value, text)


def container_environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's variables with a literal value, and those that hold its namespace."""
    env: dict[str, str] = {}
    for variable in container.get("env", ()):
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if "value" in variable:
            env[variable["name"]] = expand(variable["value"], env)
        elif field == "metadata.namespace":
            env[variable["name"]] = FLUX_NAMESPACE
    return env


def token_is_good(token: str, account_uid: str, now: float) -> bool:
    """Return whether a token belongs to this service account and has half of its life left."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        uid = claims["kubernetes.io"]["serviceaccount"]["uid"]
        return bool(uid == account_uid and claims["exp"] - now > _TOKEN_SECONDS / 2)
    except (IndexError, KeyError, ValueError):
        return False
