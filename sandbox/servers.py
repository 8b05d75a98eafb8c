"""The two stand-in servers of the sandbox: GitHub, and the rest of the internet that Flux uses."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import sys
import urllib.request
from pathlib import Path

from sandbox.host import certificates, files, processes
from sandbox.host.files import CHECKOUT
from sandbox.kubernetes import clusters

GITHUB_USER = "sandbox"
CHART_HOST = "kyverno.github.io"
GIT_HOST = "github.com"
_AUTHORITY = "sandbox"
_PORTS = ("github", "github/ssh", "internet", "internet/proxy")


def start(state: Path, charts: Path, public_repositories: Path) -> None:
    """Have both running. Raises SandboxError when one does not come up."""
    environment = {**clusters.environment(), "PYTHONPATH": str(CHECKOUT)}
    github = certificates.server_certificate(state, _AUTHORITY, "github", ["127.0.0.1"])
    processes.ensure(
        state,
        "github",
        [
            sys.executable, "-m", "sandbox.github",
            "--directory", state / "github",
            "--port", str(processes.port(state, "github")),
            "--certificate", github.certificate,
            "--key", github.key,
            "--ssh-port", str(processes.port(state, "github/ssh")),
            "--ssh-host-key", _ssh_host_key(state).key,
            "--token-file", _token_file(state, "token"),
            "--read-token-file", _token_file(state, "read-token"),
            "--repository-tokens", _repository_tokens(state),
            "--user", GITHUB_USER,
        ],
        environment,
    )  # fmt: skip
    internet = certificates.server_certificate(
        state, _AUTHORITY, "internet", [CHART_HOST, GIT_HOST]
    )
    processes.ensure(
        state,
        "internet",
        [
            sys.executable, "-m", "sandbox.internet",
            "--port", str(processes.port(state, "internet")),
            "--proxy-port", str(processes.port(state, "internet/proxy")),
            "--certificate", internet.certificate,
            "--key", internet.key,
            "--site", f"{CHART_HOST}={charts}",
            "--public-git", f"{GIT_HOST}={public_repositories}",
        ],
        environment,
    )  # fmt: skip
    processes.wait_until(
        state,
        ["github", "internet"],
        lambda: all(_listens(state, port) for port in _PORTS),
        what="GitHub and internet stand-ins",
        seconds=30,
    )


def github_url(state: Path) -> str:
    """Return the base URL of the GitHub stand-in's API, as `fleet:repository.apiUrl`."""
    return f"https://127.0.0.1:{processes.port(state, 'github')}/"


def repository_url(state: Path, owner: str, name: str) -> str:
    """Return the URL by which Git clones a repository."""
    return f"{github_url(state)}{owner}/{name}.git"


def ssh_url(state: Path, owner: str, name: str) -> str:
    """Return the URL by which Git clones a repository with a deploy key."""
    return f"ssh://git@127.0.0.1:{processes.port(state, 'github/ssh')}/{owner}/{name}.git"


def known_hosts(state: Path) -> str:
    """Return the line by which a client of `ssh_url` knows the GitHub stand-in."""
    public = _ssh_host_key(state).certificate.read_text()
    return f"[127.0.0.1]:{processes.port(state, 'github/ssh')} {public.strip()}"


def proxy_url(state: Path) -> str:
    """Return the proxy that leads to the stand-in of the internet and nowhere else."""
    return f"http://127.0.0.1:{processes.port(state, 'internet/proxy')}"


def token(state: Path) -> str:
    """Return the token that may write."""
    return _token_file(state, "token").read_text()


def read_token(state: Path) -> str:
    """Return the token that may only read."""
    return _token_file(state, "read-token").read_text()


def repository_token(state: Path, owner: str, name: str) -> str:
    """Return a token that may clone this one repository and do nothing else."""
    return _secret_file(_repository_tokens(state) / owner / name).read_text()


def create_repository(state: Path, owner: str, name: str) -> None:
    """Make an empty private repository, as a person would in the browser."""
    _call(state, "POST", f"orgs/{owner}/repos", {"name": name, "private": True})


def delete_repository(state: Path, owner: str, name: str) -> None:
    """Remove a repository and all that is in it."""
    _call(state, "DELETE", f"repos/{owner}/{name}")


def create_team(state: Path, owner: str, slug: str) -> None:
    """Make a team of an organization, to which repositories can be given."""
    _call(state, "POST", f"orgs/{owner}/teams", {"name": slug})


def _call(state: Path, method: str, path: str, body: object = None) -> None:
    request = urllib.request.Request(  # noqa: S310 - always https
        f"{github_url(state)}api/v3/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token(state)}", "Content-Type": "application/json"},
        method=method,
    )
    trust = ssl.create_default_context(cafile=str(certificates.ca_bundle(state)))
    with urllib.request.urlopen(request, timeout=30, context=trust):  # noqa: S310 - always https
        pass


def git_environment(state: Path) -> dict[str, str]:
    """Return the environment in which people of the sandbox run git."""
    return {
        **clusters.environment(),
        # Neither the user's nor the machine's configuration decides what happens here.
        "GIT_CONFIG_GLOBAL": str(git_config(state)),
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_SSL_CAINFO": str(certificates.ca_bundle(state)),
        "GIT_TERMINAL_PROMPT": "0",
    }


def git_config(state: Path) -> Path:
    """Return a Git configuration of the platform team: who they are and how they log in."""
    file = state / "git" / "config"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        credentials = file.with_name("credentials")
        host = github_url(state).removeprefix("https://")
        line = f"https://{GITHUB_USER}:{token(state)}@{host}\n"
        files.write(credentials, line.encode(), 0o600)
        file.write_text(
            "[user]\n\tname = Platform team\n\temail = platform-team@fleet.example\n"
            f'[credential]\n\thelper = "store --file={credentials}"\n'
        )
    return file


def _listens(state: Path, name: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", processes.port(state, name)), timeout=1).close()
    except OSError:
        return False
    return True


def _ssh_host_key(state: Path) -> certificates.Pair:
    return certificates.ssh_host_key(state, _AUTHORITY, "github")


def _repository_tokens(state: Path) -> Path:
    return state / "tokens" / "repositories"


def _token_file(state: Path, name: str) -> Path:
    return _secret_file(state / "tokens" / name)


def _secret_file(file: Path) -> Path:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, secrets.token_urlsafe(24).encode(), 0o600)
    return file
