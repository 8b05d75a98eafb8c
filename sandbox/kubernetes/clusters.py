"""Kubernetes clusters made of the real control plane programs, without containers or kubelets.

One etcd serves all clusters, each below a prefix of its own. A cluster is a kube-apiserver, a
kube-controller-manager and a kube-scheduler; kwok plays its one node and the pods on it: they are
scheduled, become ready and finish, and nothing runs in them. Everything listens on loopback and
speaks TLS with client certificates, etcd as well.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fleet.process import run
from sandbox.build.parts import program, source
from sandbox.host import certificates, files, processes
from sandbox.host.certificates import Pair
from sandbox.sandbox_error import SandboxError

# A first start writes every default object; two cores share three of them.
_READY_SECONDS = 120
_NODE = "sandbox"
_SERVICES = "10.43.0.0/16"
_PODS = "10.42.0.0/16"
_FIRST_SERVICE = "10.43.0.1"
_KWOK_USER = "sandbox:kwok"
_STAGES = (
    "node/fast/node-initialize.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
# Nothing of a sandbox answers these, or they only make load. Without node-lifecycle nobody expects
# heartbeats, so a node stays ready while the machine sleeps and no pod is ever evicted.
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


@dataclass(frozen=True, kw_only=True)
class Access:
    """What it takes to reach one cluster as somebody: its URL, authority and a credential."""

    server: str
    authority: Path
    client: Pair | None = None
    token_file: Path | None = None


def context(name: str) -> str:
    """Return the kubeconfig context (and cluster, and user) of a cluster of ours."""
    return f"k3d-{name}"


def kubeconfig_file(state: Path) -> Path:
    """Return the kubeconfig by which people and Pulumi reach the clusters."""
    return state / "kubeconfig"


def start(state: Path, names: Sequence[str]) -> None:
    """Bring the clusters up, or back up: start what does not run and wait until all answer.

    Writes the kubeconfig. Raises SandboxError, with the end of a log, when a program dies or a
    cluster is not ready in time.
    """
    # Ours alone: it holds keys and tokens.
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    etcd = _start_etcd(state)
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        for done in [pool.submit(_start_cluster, state, name, etcd) for name in names]:
            done.result()
    write_kubeconfig(kubeconfig_file(state), {context(name): admin(state, name) for name in names})


def admin(state: Path, name: str) -> Access:
    """Return the access of the cluster's administrator."""
    return _access(state, name, "admin", ("system:masters",))


def kubectl(state: Path, name: str, *args: str, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator and return its output. Raises CommandError."""
    return run(
        [
            program("kubectl"),
            f"--kubeconfig={_component_kubeconfig(state, name, 'admin')}",
            f"--cache-dir={state / 'kubectl-cache'}",
            *args,
        ],
        timeout=60,
        env=environment(),
        stdin=stdin,
    )


def get(state: Path, name: str, path: str, accept: str = "application/json") -> dict[str, Any]:
    """Return what the API server answers to the administrator, without the cost of a kubectl."""
    answer: dict[str, Any] = json.loads(_get(admin(state, name), path, accept))
    return answer


def environment() -> dict[str, str]:
    """Return the whole environment of a program of the sandbox: nothing of the caller's."""
    return {"PATH": os.defpath}


def write_kubeconfig(file: Path, contexts: Mapping[str, Access]) -> None:
    """Write a kubeconfig, readable by its owner only, whole or not at all.

    With several contexts it has no current one: who uses it says which cluster is meant.
    """
    document = kubeconfig(contexts)
    text = yaml.safe_dump(document, sort_keys=False)
    files.write(file, text.encode(), mode=0o600)


def kubeconfig(contexts: Mapping[str, Access]) -> dict[str, object]:
    """Return a kubeconfig whose contexts, clusters and users share their names."""
    document: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": access.server,
                    "certificate-authority-data": _data(access.authority),
                },
            }
            for name, access in contexts.items()
        ],
        "users": [{"name": name, "user": _user(access)} for name, access in contexts.items()],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name}} for name in contexts
        ],
    }
    if len(contexts) == 1:
        document["current-context"] = next(iter(contexts))
    return document


def _user(access: Access) -> dict[str, str]:
    if access.client is not None:
        return {
            "client-certificate-data": _data(access.client.certificate),
            "client-key-data": _data(access.client.key),
        }
    return {"tokenFile": str(access.token_file)}


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _access(state: Path, name: str, user: str, groups: Sequence[str] = ()) -> Access:
    return Access(
        server=server(state, name),
        authority=certificates.authority(state, name).certificate,
        client=certificates.client_certificate(state, name, user, groups),
    )


def server(state: Path, name: str) -> str:
    """Return the URL of a cluster's API server."""
    return f"https://127.0.0.1:{processes.port(state, _process(name, 'kube-apiserver'))}"


def _process(name: str, part: str) -> str:
    return f"{name}-{part}"


def _component_kubeconfig(state: Path, name: str, user: str) -> Path:
    return state / "clusters" / name / f"{user.replace(':', '-')}.kubeconfig"


def _start_etcd(state: Path) -> str:
    clients = f"https://127.0.0.1:{processes.port(state, 'etcd')}"
    peers = f"https://127.0.0.1:{processes.port(state, 'etcd/peers')}"
    authority = certificates.authority(state, "etcd").certificate
    own = certificates.server_certificate(state, "etcd", "etcd", ("127.0.0.1",))
    flags = {
        "name": "sandbox",
        "data-dir": state / "etcd",
        "listen-client-urls": clients,
        "advertise-client-urls": clients,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"sandbox={peers}",
        "trusted-ca-file": authority,
        "cert-file": own.certificate,
        "key-file": own.key,
        "client-cert-auth": "true",
        "peer-trusted-ca-file": authority,
        "peer-cert-file": own.certificate,
        "peer-key-file": own.key,
        "peer-client-cert-auth": "true",
        # It survives a kill, though not a power cut: right for a sandbox, and much faster.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    processes.ensure(
        state,
        "etcd",
        _command("etcd", flags),
        environment(),
        files=(authority, own.certificate, own.key),
    )
    access = Access(server=clients, authority=authority, client=own)
    processes.wait_until(
        state, ["etcd"], lambda: _answers(access, "/readyz"), what="etcd", seconds=30
    )
    return clients


def _start_cluster(state: Path, name: str, etcd: str) -> None:
    apiserver = _process(name, "kube-apiserver")
    _start_apiserver(state, name, etcd)
    access = admin(state, name)
    write_kubeconfig(_component_kubeconfig(state, name, "admin"), {name: access})
    processes.wait_until(
        state,
        ["etcd", apiserver],
        lambda: _answers(access, "/readyz"),
        what=f"cluster {name}",
        seconds=_READY_SECONDS,
    )
    others = (
        _start_controller_manager(state, name),
        _start_scheduler(state, name),
        _start_kwok(state, name),
    )
    processes.wait_until(
        state,
        [apiserver, *others],
        lambda: _node_is_ready(state, name),
        what=f"node of cluster {name}",
        seconds=_READY_SECONDS,
    )


def _start_apiserver(state: Path, name: str, etcd: str) -> None:
    process = _process(name, "kube-apiserver")
    etcd_authority = certificates.authority(state, "etcd").certificate
    etcd_client = certificates.client_certificate(state, "etcd", process)
    authority = certificates.authority(state, name).certificate
    own = certificates.server_certificate(
        state,
        name,
        "kube-apiserver",
        ("127.0.0.1", "localhost", "kubernetes.default.svc", _FIRST_SERVICE),
    )
    tokens = certificates.signing_key(state, name)
    flags = {
        "etcd-servers": etcd,
        "etcd-prefix": f"/{name}",
        "etcd-cafile": etcd_authority,
        "etcd-certfile": etcd_client.certificate,
        "etcd-keyfile": etcd_client.key,
        "bind-address": "127.0.0.1",
        "secure-port": processes.port(state, process),
        "tls-cert-file": own.certificate,
        "tls-private-key-file": own.key,
        "client-ca-file": authority,
        "anonymous-auth": "false",
        "authorization-mode": "RBAC",
        "allow-privileged": "true",
        "service-cluster-ip-range": _SERVICES,
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": tokens.certificate,
        "service-account-signing-key-file": tokens.key,
        # Endpoints may not be loopback addresses, and nobody inside these clusters would use them.
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",
        # Only the node-lifecycle controller, which is off, would take this taint away again.
        "disable-admission-plugins": "TaintNodesByCondition",
        "enable-priority-and-fairness": "false",
        "profiling": "false",
        "event-ttl": "30m",
    }
    processes.ensure(
        state,
        process,
        _command("kube-apiserver", flags),
        environment(),
        files=(
            etcd_authority, etcd_client.certificate, etcd_client.key, authority,
            own.certificate, own.key, tokens.certificate, tokens.key,
        ),
    )  # fmt: skip


def _start_controller_manager(state: Path, name: str) -> str:
    kubeconfig = _user_kubeconfig(state, name, "system:kube-controller-manager")
    tokens = certificates.signing_key(state, name)
    authority = certificates.authority(state, name).certificate
    return _ensure(
        state,
        name,
        "kube-controller-manager",
        {
            "kubeconfig": kubeconfig,
            "use-service-account-credentials": "true",
            "service-account-private-key-file": tokens.key,
            "root-ca-file": authority,
            "controllers": ",".join(["*", *(f"-{off}" for off in _CONTROLLERS_OFF)]),
            "kube-api-qps": 200,
            "kube-api-burst": 300,
            "leader-elect": "false",
            "profiling": "false",
            "secure-port": 0,
        },
        (kubeconfig, tokens.key, authority),
    )


def _start_scheduler(state: Path, name: str) -> str:
    kubeconfig = _user_kubeconfig(state, name, "system:kube-scheduler")
    flags = {
        "kubeconfig": kubeconfig,
        "leader-elect": "false",
        "profiling": "false",
        "secure-port": 0,
    }
    return _ensure(state, name, "kube-scheduler", flags, (kubeconfig,))


def _start_kwok(state: Path, name: str) -> str:
    kubeconfig = _user_kubeconfig(state, name, _KWOK_USER)
    if not processes.is_running(state, _process(name, "kwok")):
        _apply_node(state, name)
    stages = source("sigs.k8s.io/kwok") / "kustomize" / "stage"
    flags = {
        "kubeconfig": kubeconfig,
        "config": ",".join(str(stages / stage) for stage in _STAGES),
        "manage-all-nodes": "true",
        "node-lease-duration-seconds": 0,
        "cidr": _PODS,
    }
    return _ensure(state, name, "kwok", flags, (kubeconfig,))


def _apply_node(state: Path, name: str) -> None:
    """Register the node; kwok fills in its status, with more room than a sandbox will use."""
    objects = [
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
            # kwok is the kubelet here, so it may do what a kubelet may.
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _KWOK_USER},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node",
            },
            "subjects": [
                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _KWOK_USER}
            ],
        },
    ]
    kubectl(
        state, name, "apply", "--server-side", "--field-manager=sandbox", "-f", "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )  # fmt: skip


def _ensure(
    state: Path, name: str, part: str, flags: Mapping[str, object], files: Sequence[Path]
) -> str:
    process = _process(name, part)
    processes.ensure(state, process, _command(part, flags), environment(), files=files)
    return process


def _command(part: str, flags: Mapping[str, object]) -> list[str | Path]:
    return [program(part), *(f"--{flag}={value}" for flag, value in flags.items())]


def _user_kubeconfig(state: Path, name: str, user: str) -> Path:
    file = _component_kubeconfig(state, name, user)
    write_kubeconfig(file, {name: _access(state, name, user)})
    return file


def _node_is_ready(state: Path, name: str) -> bool:
    try:
        node = json.loads(_get(admin(state, name), f"/api/v1/nodes/{_NODE}"))
    except (OSError, http.client.HTTPException, SandboxError):
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _answers(access: Access, path: str) -> bool:
    try:
        _get(access, path)
    except (OSError, http.client.HTTPException, SandboxError):
        return False
    return True


def _get(access: Access, path: str, accept: str = "*/*") -> bytes:
    """Ask an API server or etcd directly: polling by kubectl would cost more than the answer."""
    if access.client is None:
        raise TypeError(f"{access.server}: needs a client certificate")
    trust = ssl.create_default_context(cafile=str(access.authority))
    trust.load_cert_chain(access.client.certificate, access.client.key)
    host = access.server.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, timeout=10, context=trust)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        reply = connection.getresponse()
        body = reply.read()
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise SandboxError(f"{access.server}{path}: HTTP {reply.status}")
    return body
