"""The kubelet's part for Flux: kwok only pretends to run its pods, so they run here as processes.

What a cluster says about a controller is what is run: arguments and environment of its Deployment,
and the rights of its ServiceAccount. Only what a container would have got from its image, its pod
network or its volumes is replaced. notification-controller is left out: nothing listens to it.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.build.parts import program
from sandbox.host import certificates, files, processes
from sandbox.kubernetes import clusters
from sandbox.kubernetes.clusters import Access

CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
NAMESPACE = "flux-system"
_TOKEN_SECONDS = 30 * 24 * 3600
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def start(
    state: Path, cluster: str, *, ca_bundle: Path, https_proxy: str | None = None
) -> list[str]:
    """Run each controller that the cluster has a Deployment and a ServiceAccount for.

    Those already running as the cluster wants them are left alone, changed ones restarted, those
    whose Deployment is gone or scaled to zero stopped. Returns the names of all that run.
    `ca_bundle` is all that a controller trusts outside the cluster; source-controller reaches the
    outside through `https_proxy`, a URL. Raises SandboxError when one dies at once, CommandError
    when the cluster does not answer.
    """
    listing = clusters.kubectl(
        state, cluster, "get", "deployments,serviceaccounts", f"--namespace={NAMESPACE}", "-o=json"
    )
    objects = {
        (item["kind"], item["metadata"]["name"]): item for item in json.loads(listing)["items"]
    }
    names = []
    for name in CONTROLLERS:
        deployment = objects.get(("Deployment", name))
        if deployment is None or deployment["spec"].get("replicas", 1) == 0:
            processes.stop(state, _process(cluster, name))
            continue
        pod = deployment["spec"]["template"]["spec"]
        account = objects.get(("ServiceAccount", pod.get("serviceAccountName", "default")))
        if account is not None:
            _run(state, cluster, name, pod["containers"][0], account, ca_bundle, https_proxy)
            names.append(name)
    return names


def arguments(
    container: Mapping[str, Any], env: Mapping[str, str], own: Mapping[str, object]
) -> list[str]:
    """Return a controller's arguments: the container's, with those that cannot hold here replaced.

    `own` are flags without dashes. They come last, and Flux's flag parser lets the last one win.
    """
    args = [expand(arg, env) for arg in container.get("args", ())]
    return [*args, *(f"--{flag}={value}" for flag, value in own.items())]


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as a kubelet does: unknown names stay, `$$` is a plain dollar sign."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else env.get(name, match.group(0))

    return _REFERENCE.sub(value, text)


def container_environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that a container gives itself: literal ones and its namespace."""
    env: dict[str, str] = {}
    for variable in container.get("env", ()):
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if "value" in variable:
            env[variable["name"]] = expand(variable["value"], env)
        elif field == "metadata.namespace":
            env[variable["name"]] = NAMESPACE
    return env


def token_is_good(token: str, account_uid: str, now: float) -> bool:
    """Say whether a service account's token is of that very account and has half its life left."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        uid = claims["kubernetes.io"]["serviceaccount"]["uid"]
        return bool(uid == account_uid and claims["exp"] - now > _TOKEN_SECONDS / 2)
    except (IndexError, KeyError, ValueError):
        return False


def _run(
    state: Path,
    cluster: str,
    name: str,
    container: Mapping[str, Any],
    account: Mapping[str, Any],
    ca_bundle: Path,
    https_proxy: str | None,
) -> None:
    process = _process(cluster, name)
    folder = state / "flux" / cluster / name
    for part in ("home", "tmp", "storage"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    env = {
        **container_environment(container),
        **clusters.environment(),
        "RUNTIME_NAMESPACE": NAMESPACE,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "TUF_ROOT": str(folder / "tmp" / "sigstore"),
        "KUBECONFIG": str(_kubeconfig(state, cluster, folder, account)),
        "SSL_CERT_FILE": str(ca_bundle),
        # No folder at all: else Go adds the machine's own authorities to the bundle.
        "SSL_CERT_DIR": "/dev/null",
    }
    own: dict[str, object] = {
        "metrics-addr": "0",
        "health-addr": f"127.0.0.1:{processes.port(state, f'{process}/health')}",
        "events-addr": "",
        "enable-leader-election": "false",
        "watch-all-namespaces": "true",
    }
    if name == "source-controller":
        storage = f"127.0.0.1:{processes.port(state, f'{process}/storage')}"
        own |= {
            "storage-path": folder / "storage",
            "storage-addr": storage,
            "storage-adv-addr": storage,
        }
        if https_proxy is not None:
            env["HTTPS_PROXY"] = https_proxy
    processes.ensure(
        state,
        process,
        [program(name), *arguments(container, env, own)],
        env,
        files=(ca_bundle, Path(env["KUBECONFIG"])),
        cwd=folder,
    )


def _kubeconfig(state: Path, cluster: str, folder: Path, account: Mapping[str, Any]) -> Path:
    """Return a kubeconfig of the controller's ServiceAccount, its token fresh enough.

    The token has a file of its own, which client-go reads again every minute.
    """
    token_file = folder / "token"
    metadata = account["metadata"]
    known = token_file.read_text() if token_file.exists() else ""
    if not token_is_good(known, metadata["uid"], time.time()):
        token = clusters.kubectl(
            state,
            cluster,
            "create",
            "token",
            metadata["name"],
            f"--namespace={NAMESPACE}",
            f"--duration={_TOKEN_SECONDS}s",
        )
        files.write(token_file, token.strip().encode(), mode=0o600)
    file = folder / "kubeconfig"
    access = Access(
        server=clusters.server(state, cluster),
        authority=certificates.authority(state, cluster).certificate,
        token_file=token_file,
    )
    clusters.write_kubeconfig(file, {cluster: access})
    return file


def _process(cluster: str, name: str) -> str:
    return f"{cluster}-{name}"
