"""Credentials of a kubeconfig's user, in the form in which a credential plugin returns them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from fleet import process
from fleet.config.connection import Connection
from fleet.errors import CommandError, ConfigError
from fleet.kube.kubeconfig import Context

_GROUP = "client.authentication.k8s.io"
API_VERSION = f"{_GROUP}/v1"
# The environment variable with which Kubernetes tells a plugin what it is asked for.
ASKED = "KUBERNETES_EXEC_INFO"
_PLUGIN_VERSIONS = (API_VERSION, f"{_GROUP}/v1beta1")
_PLUGIN_TIMEOUT = 60


def refuse_unsupported(connection: Connection, context: Context) -> None:
    """Raise ConfigError for a user whose credential no plugin can pass on."""
    plugin = context.user.get("exec")
    if context.user.get("username"):
        text = "signs in with a password; use a token, a client certificate or an exec plugin"
    elif context.user.get("auth-provider"):
        text = "signs in by an auth-provider, which Kubernetes has removed; use an exec plugin"
    elif isinstance(plugin, dict) and plugin.get("apiVersion") not in _PLUGIN_VERSIONS:
        text = f"has an exec plugin of {plugin.get('apiVersion')}; use {API_VERSION}"
    elif not (plugin or _has_token(context) or _has_certificate(context)):
        text = "has no credential; give it a token, a client certificate or an exec plugin"
    else:
        return
    raise ConfigError([connection.problem(text)])


def status(context: Context) -> dict[str, Any]:
    """Return the credential of a supported user; raises OSError, ValueError or CommandError."""
    if plugin := context.user.get("exec"):
        return _from_plugin(context, plugin)
    found: dict[str, Any] = {}
    # A file can be renewed at any time, so Kubernetes prefers it too.
    if name := context.user.get("tokenFile"):
        found["token"] = context.path(name).read_text(encoding="utf-8").strip()
    elif token := context.user.get("token"):
        found["token"] = str(token)
    if _has_certificate(context):
        for key, field in (
            ("client-certificate", "clientCertificateData"),
            ("client-key", "clientKeyData"),
        ):
            found[field] = (context.certificate(context.user, key) or b"").decode("ascii")
    return found


def _has_token(context: Context) -> bool:
    return bool(context.user.get("token") or context.user.get("tokenFile"))


def _has_certificate(context: Context) -> bool:
    return any(context.user.get(f"client-certificate{end}") for end in ("", "-data"))


def _from_plugin(context: Context, plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Run the context's own plugin as kubectl does and return the credential of its answer."""
    command = str(plugin["command"])
    asked: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        asked["cluster"] = context.cluster_fields()
    info = {"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": asked}
    given = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
    answer = process.run(
        # A command with a "/" is a path of the kubeconfig; others are looked up on PATH.
        [context.path(command) if "/" in command else command, *map(str, plugin.get("args") or ())],
        timeout=_PLUGIN_TIMEOUT,
        env={**os.environ, **given, ASKED: json.dumps(info)},
    )
    try:
        found: dict[str, Any] = dict(json.loads(answer)["status"])
    except (ValueError, TypeError, LookupError):
        raise CommandError(f"{command}: its answer is no ExecCredential with a status") from None
    return found
