"""The credential plugin of the provider's kubeconfig: it signs in to one cluster and no other.

Kubernetes clients run it as `python -m fleet.identity.credential STACK UID` in the folder of the
project. It prints the credential of the stack's context when that context leads to the cluster with
this UID, at the address that the client uses. Otherwise it prints one line and fails, so the client
can neither read nor write anything.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet.config import connection as connections
from fleet.config.connection import Connection
from fleet.errors import CommandError, ConfigError, FleetError
from fleet.identity import cluster, sign_in
from fleet.kube.kubeconfig import Context


def main() -> int:
    """Print the credential and return 0, or print the reason and return 1."""
    _, stack, uid = sys.argv
    try:
        answer = credential(Path.cwd(), stack, uid, os.environ)
    except FleetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(answer))
    return 0


def credential(root: Path, stack: str, uid: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the credential of a stack's context as an ExecCredential. Raises FleetError."""
    connection = connections.read(root, stack)
    context = connection.context()
    sign_in.refuse_unsupported(connection, context)
    _refuse_another_cluster(connection, stack, uid)
    try:
        _refuse_another_address(connection, context, stack, json.loads(environ[sign_in.ASKED]))
        status = sign_in.status(context)
    except (OSError, ValueError, CommandError) as error:
        text = f"cannot sign in: {error}; correct it there"
        raise ConfigError([connection.problem(text)]) from None
    return {"apiVersion": sign_in.API_VERSION, "kind": "ExecCredential", "status": status}


def _refuse_another_cluster(connection: Connection, stack: str, uid: str) -> None:
    """Raise ConfigError when the context leads to another cluster, or to none that answers."""
    try:
        found = cluster.uid(connection.path(), connection.cluster.context)
    except CommandError as error:
        text = f"leads to no cluster that answers ({error}); make cluster {uid} reachable"
        raise ConfigError([connection.problem(text)]) from None
    if found != uid:
        raise ConfigError(
            [
                connection.problem(
                    f"leads to cluster {found}, but stack {stack} is cluster {uid}; "
                    "point the context to that cluster (if it was rebuilt: docs/operations.md)"
                )
            ]
        )


def _refuse_another_address(
    connection: Connection, context: Context, stack: str, asked: Mapping[str, Any]
) -> None:
    """Raise ConfigError when the client would use the credential at an address of the past."""
    used = {key: value for key, value in asked["spec"]["cluster"].items() if value}
    if context.cluster_fields() != used:
        raise ConfigError(
            [
                connection.problem(
                    f"reaches the cluster at {context.cluster.get('server')}; its address or "
                    f"certificate authority is not that of the last `pulumi up` "
                    f"({used.get('server')}); run `pulumi up --run-program --stack {stack}` once"
                )
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
