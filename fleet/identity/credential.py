"""The credential plugin of the provider's kubeconfig: it signs in to one cluster and no other.

Kubernetes clients run it as `python -m fleet.identity.credential STACK UID` in the folder of the
project. It gives the credential of the stack's context when that context leads to the cluster with
this UID, at the address that the client uses. Otherwise it gives none, so the client can neither
read nor write anything.
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


def main() -> None:
    """Print an ExecCredential, or an answer of a kind that no client knows: the reason."""
    _, stack, uid = sys.argv
    try:
        answer = credential(Path.cwd(), stack, uid, os.environ)
    except FleetError as error:
        # The engine hides what a provider's plugin writes to standard error, and a client repeats
        # nothing of an answer but a kind that it cannot read.
        answer = {"apiVersion": sign_in.API_VERSION, "kind": f"refusal: {error}"}
    sys.stdout.write(json.dumps(answer))


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
        text = f"cannot be reached: {error}; repair the connection and run the same command again"
        raise ConfigError([connection.problem(text)]) from None
    if found != uid:
        raise ConfigError(
            [
                connection.problem(
                    f"leads to the cluster {found}, but the state of {stack} is for the cluster "
                    f"{uid}; correct the context, or run `pulumi up --run-program -s {stack}` if "
                    "it was rebuilt"
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
                    f"reaches the cluster at {context.cluster.get('server')}, but the state of "
                    f"{stack} has another address ({used.get('server')}), certificate authority "
                    f"or proxy; run `pulumi up --run-program -s {stack}`"
                )
            ]
        )


if __name__ == "__main__":
    main()
