"""The kubeconfig of the Kubernetes provider: one cluster, and a credential only for that one.

It is in Pulumi's state, which several machines share, so it holds no secret and no path of one
machine. `pulumi refresh` and `pulumi destroy` do not run the program; the provider that they take
from the state asks the plugin below for its credential.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fleet.config import stack_files
from fleet.config.connection import Connection
from fleet.errors import ConfigError
from fleet.identity import sign_in
from fleet.kube import yaml_reader
from fleet.kube.kubeconfig import Context

_PLUGIN = "fleet.identity.credential"
# Kubernetes has these beside a credential, and they are no secret.
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


def render(root: Path, stack: str, connection: Connection, uid: str) -> str:
    """Return the kubeconfig for the cluster with this UID, which the connection leads to now.

    Raises ConfigError for a connection that cannot be written without a secret, or that signs in
    as no plugin can.
    """
    context = connection.context()
    sign_in.refuse_unsupported(connection, context)
    name = connection.cluster.context
    user = {key: context.user[key] for key in _IMPERSONATION if context.user.get(key)}
    user["exec"] = {
        "apiVersion": sign_in.API_VERSION,
        # The engine runs a provider in the folder of the project.
        "command": _python(root),
        "args": ["-m", _PLUGIN, stack, uid],
        "interactiveMode": "Never",
        "provideClusterInfo": True,
        "installHint": "Run `pulumi install` in the folder of Pulumi.yaml.",
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _cluster(connection, context)}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    return json.dumps(document, sort_keys=True)


def _cluster(connection: Connection, context: Context) -> dict[str, Any]:
    try:
        cluster = context.cluster_fields()
    except (OSError, ValueError) as error:
        raise ConfigError([connection.problem(f"cannot be used: {error}; correct it")]) from None
    if urlsplit(str(cluster.get("proxy-url", ""))).password:
        text = "has a proxy-url with a password, which the state would show; use HTTPS_PROXY"
        raise ConfigError([connection.problem(text)])
    return cluster


def _python(root: Path) -> str:
    """Return the Python of the program, as Pulumi.yaml names its virtual environment."""
    (project,) = yaml_reader.documents((root / stack_files.PROJECT_FILE).read_bytes())
    runtime = project["runtime"]
    options = runtime.get("options", {}) if isinstance(runtime, dict) else {}
    return f"{options.get('virtualenv', '.venv')}/bin/python"
