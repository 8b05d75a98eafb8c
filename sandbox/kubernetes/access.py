"""Access to API servers and etcd, and the kubeconfigs that describe it."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from fleet import files
from sandbox.host.certificates import Pair
from sandbox.sandbox_error import SandboxError


@dataclass(frozen=True, kw_only=True)
class Access:
    """The URL of a server, its certificate authority, and a credential of one user."""

    server: str
    authority: Path
    client: Pair | None = None
    token_file: Path | None = None

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """Return the server's answer; a kubectl for each question would cost much more time.

        Raises SandboxError when the server does not answer as it should.
        """
        if self.client is None:
            raise TypeError(f"{self.server}: needs a client certificate")
        trust = ssl.create_default_context(cafile=str(self.authority))
        trust.load_cert_chain(self.client.certificate, self.client.key)
        host = self.server.removeprefix("https://")
        connection = http.client.HTTPSConnection(host, timeout=10, context=trust)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise SandboxError(f"{self.server}{path}: {error}") from None
        finally:
            connection.close()
        if reply.status != http.client.OK:
            raise SandboxError(f"{self.server}{path}: answered HTTP {reply.status}")
        return body

    def try_get(self, path: str) -> bytes | None:
        """Return the server's answer, or None while the server does not answer as it should."""
        try:
            return self.get(path)
        except SandboxError:
            return None


def write_kubeconfig(file: Path, contexts: Mapping[str, Access]) -> None:
    """Write a kubeconfig that only its owner can read."""
    text = yaml.safe_dump(kubeconfig(contexts), sort_keys=False)
    files.write(file, text.encode(), mode=0o600)


def kubeconfig(contexts: Mapping[str, Access]) -> dict[str, object]:
    """Return a kubeconfig in which a context, its cluster and its user have the same name.

    A single context is the current one. With several, no context is, so that every command names
    its cluster.
    """
    document: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": access.server,
                    "certificate-authority-data": _base64(access.authority),
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
            "client-certificate-data": _base64(access.client.certificate),
            "client-key-data": _base64(access.client.key),
        }
    return {"tokenFile": str(access.token_file)}


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
