"""One cluster of a sandbox: its credentials, and requests to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.process import run
from sandbox.build.parts import program
from sandbox.host.certificates import Certificates
from sandbox.host.processes import CLEAN_ENVIRONMENT, Processes
from sandbox.kubernetes.access import Access, write_kubeconfig

_ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster, seen by its administrator."""

    name: str
    state: Path
    processes: Processes
    certificates: Certificates

    @property
    def context(self) -> str:
        """The name of its kubeconfig context, and of the cluster and the user in it."""
        return f"k3d-{self.name}"

    @property
    def server(self) -> str:
        """The URL of its API server."""
        return f"https://127.0.0.1:{self.processes.port(self.process('kube-apiserver'))}"

    @property
    def authority(self) -> Path:
        """The certificate of its authority."""
        return self.certificates.authority(self.name).certificate

    @property
    def admin(self) -> Access:
        """The access of its administrator."""
        return self._access(_ADMIN, "system:masters")

    def process(self, program_name: str) -> str:
        """Return the name under which a program of this cluster runs."""
        return f"{self.name}-{program_name}"

    def write_admin_kubeconfig(self) -> None:
        """Write the kubeconfig that `kubectl` uses."""
        write_kubeconfig(self._kubeconfig_file(_ADMIN), {self.name: self.admin})

    def user_kubeconfig(self, user: str) -> Path:
        """Write the kubeconfig of a user without groups and return its file."""
        file = self._kubeconfig_file(user)
        write_kubeconfig(file, {self.name: self._access(user)})
        return file

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output. Raises CommandError."""
        return run(
            [
                program("kubectl"),
                f"--kubeconfig={self._kubeconfig_file(_ADMIN)}",
                f"--cache-dir={self.state / 'kubectl-cache'}",
                *args,
            ],
            timeout=60,
            env=CLEAN_ENVIRONMENT,
            stdin=stdin,
        )

    def get(self, path: str, accept: str = "application/json") -> dict[str, Any]:
        """Return the API server's answer to a path, without the time that a kubectl takes."""
        answer: dict[str, Any] = json.loads(self.admin.get(path, accept))
        return answer

    def objects(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list that has this path, which may have a query.

        Those of Kubernetes' own kinds do not have the kind and the version. Raises SandboxError.
        """
        items: list[dict[str, Any]] = self.get(path)["items"]
        return items

    def _access(self, user: str, group: str | None = None) -> Access:
        return Access(
            server=self.server,
            authority=self.authority,
            client=self.certificates.client_certificate(self.name, user, group),
        )

    def _kubeconfig_file(self, user: str) -> Path:
        return self.state / "clusters" / self.name / f"{user.replace(':', '-')}.kubeconfig"
