"""Kubernetes clusters made of the real control plane programs, without containers or kubelets.

One etcd serves all clusters, each below a prefix of its own. A cluster is a kube-apiserver, a
kube-controller-manager and a kube-scheduler. kwok plays its one node and the pods on it: they are
scheduled, become ready and finish, and nothing runs in them. All servers listen on loopback and
speak TLS with client certificates, etcd too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.certificates import Certificates
from sandbox.host.processes import Processes
from sandbox.kubernetes.access import write_kubeconfig
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.control_plane import ControlPlane, Etcd


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """The clusters of one sandbox."""

    state: Path
    processes: Processes
    certificates: Certificates

    @property
    def kubeconfig_file(self) -> Path:
        """The kubeconfig with which people and Pulumi reach the clusters."""
        return self.state / "kubeconfig"

    def cluster(self, name: str) -> Cluster:
        """Return the cluster of this name."""
        return Cluster(
            name=name,
            state=self.state,
            processes=self.processes,
            certificates=self.certificates,
        )

    def start(self, names: Sequence[str]) -> None:
        """Start what does not run, wait until all clusters answer, and write the kubeconfig.

        Raises SandboxError, with the end of a log, when a program dies or a cluster is not ready
        in time.
        """
        etcd = Etcd(state=self.state, processes=self.processes, certificates=self.certificates)
        etcd.start()
        planes = [ControlPlane(cluster=self.cluster(name), etcd=etcd) for name in names]
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            for done in [pool.submit(plane.start) for plane in planes]:
                done.result()
        clusters = [self.cluster(name) for name in names]
        contexts = {cluster.context: cluster.admin for cluster in clusters}
        write_kubeconfig(self.kubeconfig_file, contexts)
