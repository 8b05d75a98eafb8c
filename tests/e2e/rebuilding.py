"""A cluster that is built anew: the same name and credentials, and nothing of what it held."""

from __future__ import annotations

import base64
import http.client
import json
import ssl

from sandbox.kubernetes.control_plane import Etcd
from tests.e2e.sandbox import Sandbox


def rebuild(sandbox: Sandbox, cluster: str) -> str:
    """Replace a cluster by an empty one, and return the UID of its namespace kube-system."""
    for name in sandbox.processes.running():
        if name.startswith(f"{cluster}-"):
            sandbox.processes.stop(name)
    _delete_all(sandbox, f"/{cluster}/")
    sandbox.clusters.start(sandbox.names)
    return uid(sandbox, cluster)


def uid(sandbox: Sandbox, cluster: str) -> str:
    """Return the UID of a cluster's namespace kube-system."""
    found = sandbox.get(cluster, "namespaces", "", "kube-system")
    assert found is not None
    text: str = found["metadata"]["uid"]
    return text


def _delete_all(sandbox: Sandbox, prefix: str) -> None:
    """Delete all keys of etcd below a prefix."""
    etcd = Etcd(state=sandbox.state, processes=sandbox.processes, certificates=sandbox.certificates)
    client = etcd.client("rebuilding")
    trust = ssl.create_default_context(cafile=str(etcd.authority))
    trust.load_cert_chain(client.certificate, client.key)
    host = etcd.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, timeout=30, context=trust)
    # "0" is the character after "/".
    span = {"key": _base64(prefix), "range_end": _base64(f"{prefix[:-1]}0")}
    try:
        connection.request("POST", "/v3/kv/deleterange", json.dumps(span))
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    assert int(answer["deleted"]) > 100


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
