"""The programs of a cluster: etcd, the control plane, and kwok, which plays its one node."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.build.parts import program, source
from sandbox.host.certificates import Certificates, Pair
from sandbox.host.processes import CLEAN_ENVIRONMENT, Command, Processes
from sandbox.kubernetes.access import Access
from sandbox.kubernetes.cluster import Cluster

# The first start writes all default objects, for three clusters on two cores.
_READY_SECONDS = 120
_NODE = "sandbox"
_SERVICES = "10.43.0.0/16"
_PODS = "10.42.0.0/16"
_FIRST_SERVICE = "10.43.0.1"
_KWOK_USER = "sandbox:kwok"
_KWOK_STAGES = (
    "node/fast/node-initialize.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
# The sandbox has nothing for these controllers to work with, or they only cost CPU time. Without
# node-lifecycle nobody expects heartbeats: the node stays ready while the machine sleeps, and no
# pod is evicted.
_CONTROLLERS_OFF = (
    "node-lifecycle-controller",
    "horizontal-pod-autoscaler-controller",
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "persistentvolume-attach-detach-controller",
    "service-lb-controller",
    "node-route-controller",
    "cloud-node-lifecycle-controller",
)
_NODE_OBJECTS = (
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": _NODE,
            "labels": {
                "kubernetes.io/hostname": _NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
    },
    {
        # kwok is the kubelet here, so it gets the rights of a kubelet.
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": _KWOK_USER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:node",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _KWOK_USER}],
    },
)
_APISERVER_BEHAVIOUR: dict[str, object] = {
    "anonymous-auth": "false",
    "authorization-mode": "RBAC",
    "allow-privileged": "true",
    "service-cluster-ip-range": _SERVICES,
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    # Endpoints may not be loopback addresses, and nothing in these clusters would use them.
    "advertise-address": "127.0.0.1",
    "endpoint-reconciler-type": "none",
    # Only the node-lifecycle controller, which is off, would remove this taint again.
    "disable-admission-plugins": "TaintNodesByCondition",
    "enable-priority-and-fairness": "false",
    "profiling": "false",
    "event-ttl": "30m",
}


@dataclass(frozen=True, kw_only=True)
class Etcd:
    """The etcd of a sandbox, which stores the objects of all clusters."""

    state: Path
    processes: Processes
    certificates: Certificates

    @property
    def url(self) -> str:
        """The URL for its clients."""
        return f"https://127.0.0.1:{self.processes.port('etcd')}"

    @property
    def authority(self) -> Path:
        """The certificate of its authority."""
        return self.certificates.authority("etcd").certificate

    def client(self, name: str) -> Pair:
        """Return the credential of a client."""
        return self.certificates.client_certificate("etcd", name)

    def start(self) -> None:
        """Keep it running and wait until it answers."""
        own = self.certificates.server_certificate("etcd", "etcd", ("127.0.0.1",))
        credentials = (self.authority, own.certificate, own.key)
        self.processes.ensure("etcd", _command("etcd", self._flags(own), credentials))
        access = Access(server=self.url, authority=self.authority, client=own)
        self.processes.wait_until(
            ["etcd"], lambda: access.try_get("/readyz") is not None, what="etcd", seconds=30
        )

    def _flags(self, own: Pair) -> dict[str, object]:
        peers = f"https://127.0.0.1:{self.processes.port('etcd/peers')}"
        return {
            "name": "sandbox",
            "data-dir": self.state / "etcd",
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"sandbox={peers}",
            "trusted-ca-file": self.authority,
            "cert-file": own.certificate,
            "key-file": own.key,
            "client-cert-auth": "true",
            "peer-trusted-ca-file": self.authority,
            "peer-cert-file": own.certificate,
            "peer-key-file": own.key,
            "peer-client-cert-auth": "true",
            # Without fsync etcd is much faster. Its data survives SIGKILL but no power cut, which
            # is enough for a sandbox.
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """The programs of one cluster."""

    cluster: Cluster
    etcd: Etcd

    def start(self) -> None:
        """Keep all programs running and wait until the node is ready."""
        apiserver = self._start_apiserver()
        self.cluster.write_admin_kubeconfig()
        admin, processes = self.cluster.admin, self.cluster.processes
        processes.wait_until(
            ["etcd", apiserver],
            lambda: admin.try_get("/readyz") is not None,
            what=f"cluster {self.cluster.name}",
            seconds=_READY_SECONDS,
        )
        others = (self._start_controller_manager(), self._start_scheduler(), self._start_kwok())
        processes.wait_until(
            [apiserver, *others],
            lambda: _node_is_ready(admin),
            what=f"node of cluster {self.cluster.name}",
            seconds=_READY_SECONDS,
        )

    def _start_apiserver(self) -> str:
        cluster, certificates = self.cluster, self.cluster.certificates
        etcd_client = self.etcd.client(cluster.process("kube-apiserver"))
        own = certificates.server_certificate(
            cluster.name,
            "kube-apiserver",
            ("127.0.0.1", "localhost", "kubernetes.default.svc", _FIRST_SERVICE),
        )
        tokens = certificates.signing_key(cluster.name)
        flags: dict[str, object] = {
            "etcd-servers": self.etcd.url,
            "etcd-prefix": f"/{cluster.name}",
            "etcd-cafile": self.etcd.authority,
            "etcd-certfile": etcd_client.certificate,
            "etcd-keyfile": etcd_client.key,
            "bind-address": "127.0.0.1",
            "secure-port": cluster.processes.port(cluster.process("kube-apiserver")),
            "tls-cert-file": own.certificate,
            "tls-private-key-file": own.key,
            "client-ca-file": cluster.authority,
            "service-account-key-file": tokens.certificate,
            "service-account-signing-key-file": tokens.key,
        }
        credentials = (
            self.etcd.authority, etcd_client.certificate, etcd_client.key, cluster.authority,
            own.certificate, own.key, tokens.certificate, tokens.key,
        )  # fmt: skip
        return self._ensure("kube-apiserver", flags | _APISERVER_BEHAVIOUR, credentials)

    def _start_controller_manager(self) -> str:
        kubeconfig = self.cluster.user_kubeconfig("system:kube-controller-manager")
        tokens = self.cluster.certificates.signing_key(self.cluster.name)
        flags = {
            "kubeconfig": kubeconfig,
            "use-service-account-credentials": "true",
            "service-account-private-key-file": tokens.key,
            "root-ca-file": self.cluster.authority,
            "controllers": ",".join(["*", *(f"-{name}" for name in _CONTROLLERS_OFF)]),
            "kube-api-qps": 200,
            "kube-api-burst": 300,
            "leader-elect": "false",
            "profiling": "false",
            "secure-port": 0,
        }
        credentials = (kubeconfig, tokens.key, self.cluster.authority)
        return self._ensure("kube-controller-manager", flags, credentials)

    def _start_scheduler(self) -> str:
        kubeconfig = self.cluster.user_kubeconfig("system:kube-scheduler")
        flags = {
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "profiling": "false",
            "secure-port": 0,
        }
        return self._ensure("kube-scheduler", flags, (kubeconfig,))

    def _start_kwok(self) -> str:
        kubeconfig = self.cluster.user_kubeconfig(_KWOK_USER)
        if not self.cluster.processes.is_running(self.cluster.process("kwok")):
            self._apply_node()
        stages = source("sigs.k8s.io/kwok") / "kustomize" / "stage"
        flags = {
            "kubeconfig": kubeconfig,
            "config": ",".join(str(stages / stage) for stage in _KWOK_STAGES),
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": 0,
            "cidr": _PODS,
        }
        return self._ensure("kwok", flags, (kubeconfig,))

    def _apply_node(self) -> None:
        """Register the node. kwok sets its status, with more resources than a sandbox needs."""
        self.cluster.kubectl(
            "apply", "--server-side", "--field-manager=sandbox", "-f", "-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": _NODE_OBJECTS}),
        )  # fmt: skip

    def _ensure(self, name: str, flags: Mapping[str, object], credentials: Sequence[Path]) -> str:
        process = self.cluster.process(name)
        self.cluster.processes.ensure(process, _command(name, flags, credentials))
        return process


def _command(name: str, flags: Mapping[str, object], credentials: Sequence[Path]) -> Command:
    argv: list[str | Path] = [program(name)]
    argv += [f"--{flag}={value}" for flag, value in flags.items()]
    return Command(argv, CLEAN_ENVIRONMENT, credentials)


def _node_is_ready(admin: Access) -> bool:
    answer = admin.try_get(f"/api/v1/nodes/{_NODE}")
    conditions = json.loads(answer).get("status", {}).get("conditions", []) if answer else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
