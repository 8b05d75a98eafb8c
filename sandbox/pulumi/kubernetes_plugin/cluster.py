"""The one cluster that the plugin talks to."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path

import kubernetes.config
import urllib3.exceptions
import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError

from sandbox.pulumi.kubernetes_plugin.objects import Json, Object
from sandbox.sandbox_error import SandboxError

# One request; what has to be waited for is asked for again and again.
_REQUEST_TIMEOUT = 30


class MissingError(SandboxError):
    """The kind is unknown to the API server, or the namespace of the object is not there."""


class Cluster:
    """Reads and writes any object. Its methods block; they may be called from many threads.

    Raises SandboxError, with what the API server said, for everything that goes wrong.
    """

    def __init__(self, kubeconfig: str, context: str) -> None:
        """`kubeconfig` is a path or the contents, as for the official plugin."""
        self._connection = (kubeconfig, context)
        self._lock = threading.Lock()
        self._client: DynamicClient | None = None

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """Return the live object, or None when it (or its kind) is not there."""
        try:
            return self._request("get", api_version, kind, namespace, name=name)
        except MissingError:
            return None

    def apply(self, body: Object, *, manager: str, force: bool) -> Object:
        """Apply an object on the server's side. Raises MissingError when its kind is unknown."""
        metadata = body["metadata"]
        return self._request(
            "server_side_apply",
            body["apiVersion"],
            body["kind"],
            metadata.get("namespace"),
            name=metadata["name"],
            body=body,
            field_manager=manager,
            force_conflicts=force,
        )

    def delete(self, api_version: str, kind: str, namespace: str | None, name: str) -> None:
        """Ask for the deletion of an object, in the foreground; one that is gone is fine."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        try:
            self._request("delete", api_version, kind, namespace, name=name, body=body)
        except MissingError:
            return

    def _request(
        self, verb: str, api_version: str, kind: str, namespace: str | None, **arguments: Json
    ) -> Object:
        what = f"{kind} {arguments['name']}"
        try:
            client, resource = self._resource(api_version, kind)
            if resource.namespaced:
                arguments["namespace"] = namespace or "default"
            answer = getattr(client, verb)(resource, _request_timeout=_REQUEST_TIMEOUT, **arguments)
        except (NotFoundError, ResourceNotFoundError) as error:
            raise MissingError(f"{what}: {_said(error)}") from None
        except ApiException as error:
            raise SandboxError(f"{what}: {_said(error)}") from None
        except urllib3.exceptions.HTTPError as error:
            raise SandboxError(f"{what}: the API server does not answer: {error}") from None
        live: Object = answer.to_dict()
        live["metadata"].pop("managedFields", None)
        return live

    def _resource(self, api_version: str, kind: str) -> tuple[DynamicClient, Json]:
        # Discovery asks once for each group, and again for everything when a kind is not known:
        # its definition may have been created a moment ago. It is not made for threads.
        with self._lock:
            if self._client is None:
                self._client = _connect(*self._connection)
            return self._client, self._client.resources.get(api_version=api_version, kind=kind)


def _connect(kubeconfig: str, context: str) -> DynamicClient:
    try:
        if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):
            api = kubernetes.config.new_client_from_config_dict(
                yaml.safe_load(kubeconfig), context=context, persist_config=False
            )
        else:
            api = kubernetes.config.new_client_from_config(
                str(Path(kubeconfig).expanduser()), context=context, persist_config=False
            )
    except (ConfigException, yaml.YAMLError, OSError) as error:
        raise SandboxError(f"kubeconfig, context {context!r}: {error}") from None
    # The library keeps what it discovers in a file for all clusters that ever had this address,
    # unless it is given one: one that nobody shares.
    with tempfile.TemporaryDirectory() as folder:
        return DynamicClient(api, cache_file=str(Path(folder) / "discovery"))


def _said(error: Exception) -> str:
    """Return the API server's own words on a failed request."""
    body = getattr(error, "body", None)
    if body:
        try:
            return str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            pass
    return str(getattr(error, "reason", None) or error)
