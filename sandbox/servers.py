"""The stand-ins of GitHub and of the internet, each a process of its own."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import urllib.request
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.errors import CommandError
from fleet.process import run
from sandbox.github.tokens import Grant, TokenFiles
from sandbox.host.certificates import STAND_INS, Certificates, Pair
from sandbox.host.checkout import CHECKOUT
from sandbox.host.processes import CLEAN_ENVIRONMENT, Command, Processes
from sandbox.host.secret_files import secret_file

_USER = "sandbox"
_CHART_HOST = "kyverno.github.io"
_GIT_HOST = "github.com"
_ENVIRONMENT = {**CLEAN_ENVIRONMENT, "PYTHONPATH": str(CHECKOUT)}


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """The GitHub of one sandbox: its URLs, its tokens and its repositories.

    People use the classic token, in Git and in the browser. Programs get fine-grained ones.
    """

    state: Path
    processes: Processes
    certificates: Certificates

    def start(self) -> None:
        """Keep it running and wait for its ports. Raises SandboxError if it does not start."""
        pair = self.certificates.server_certificate(STAND_INS, "github", ["127.0.0.1"])
        argv: list[str | Path] = [
            sys.executable, "-m", "sandbox.github",
            "--directory", self.directory,
            "--port", str(self.processes.port("github")),
            "--certificate", pair.certificate,
            "--key", pair.key,
            "--ssh-port", str(self.processes.port("github/ssh")),
            "--ssh-host-key", self._ssh_host_key.key,
            "--token-file", self._token_file,
            "--fine-grained-tokens", self._fine_grained.folder,
            "--user", _USER,
        ]  # fmt: skip
        self.processes.ensure("github", Command(argv, _ENVIRONMENT))
        _wait_for_ports(self.processes, "github", ("github", "github/ssh"))

    @property
    def directory(self) -> Path:
        """The folder of its bare repositories."""
        return self.state / "github"

    @property
    def url(self) -> str:
        """The base URL of its API, the value of `fleet:repository.apiUrl`."""
        return f"https://127.0.0.1:{self.processes.port('github')}/"

    def repository_url(self, owner: str, name: str) -> str:
        """Return the URL by which Git clones a repository."""
        return f"{self.url}{owner}/{name}.git"

    def ssh_url(self, owner: str, name: str) -> str:
        """Return the URL by which Git clones a repository with a deploy key."""
        return f"ssh://git@127.0.0.1:{self.processes.port('github/ssh')}/{owner}/{name}.git"

    @property
    def known_hosts(self) -> str:
        """The known_hosts line by which clients of `ssh_url` recognize the server."""
        public = self._ssh_host_key.certificate.read_text()
        return f"[127.0.0.1]:{self.processes.port('github/ssh')} {public.strip()}"

    @property
    def token(self) -> str:
        """The classic token of the one user, who may do everything."""
        return self._token_file.read_text()

    def fine_grained_token(self, name: str, grant: Grant) -> str:
        """Return the token of that name; a new one gets these rights."""
        return self._fine_grained.token(name, grant)

    def change_grant(self, name: str, grant: Grant) -> None:
        """Change the rights of a token, as a person does in the browser."""
        self._fine_grained.save(name, self.fine_grained_token(name, grant), grant)

    def create_repository(self, owner: str, name: str) -> None:
        """Create an empty private repository, as a person does in the browser."""
        self._call("POST", f"orgs/{owner}/repos", {"name": name, "private": True})

    def delete_repository(self, owner: str, name: str) -> None:
        """Delete a repository."""
        self._call("DELETE", f"repos/{owner}/{name}")

    def create_team(self, owner: str, slug: str) -> None:
        """Create a team of an organization, which can be given access to repositories."""
        self._call("POST", f"orgs/{owner}/teams", {"name": slug})

    def git(self, folder: Path, *args: str) -> str:
        """Run git in a working copy, with the right to write, and return its output."""
        return run(["git", *args], timeout=120, cwd=folder, env=self.git_environment)

    def git_on_server(
        self, owner: str, name: str, *args: str, accept: Container[int] = (0,)
    ) -> str:
        """Run git in a bare repository, beside the server, and return its output.

        That takes less time than to ask the server. `accept` has the exit codes of success.
        """
        directory = self.directory / owner / f"{name}.git"
        return run(["git", f"--git-dir={directory}", *args], timeout=30, accept=accept)

    def can_clone(self, url: str, token: str) -> bool:
        """Return whether a token may clone a repository."""
        # The token is in the environment, because every user can read command lines.
        basic = base64.b64encode(f"git:{token}".encode()).decode()
        env = {
            **self.git_environment,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        try:
            run(["git", "ls-remote", url], timeout=60, env=env)
        except CommandError:
            return False
        return True

    @property
    def git_environment(self) -> dict[str, str]:
        """The environment in which git runs in a working copy."""
        return {
            **CLEAN_ENVIRONMENT,
            # The Git configuration of the user and of the machine must not change the result.
            "GIT_CONFIG_GLOBAL": str(self._git_config()),
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_SSL_CAINFO": str(self.certificates.ca_bundle),
            "GIT_TERMINAL_PROMPT": "0",
        }

    @property
    def git_settings(self) -> dict[str, str]:
        """Git settings with which any git, also that of a user, reads and writes repositories."""
        return {
            "credential.helper": f"store --file={self._credentials_file()}",
            "http.sslCAInfo": str(self.certificates.ca_bundle),
        }

    def _credentials_file(self) -> Path:
        file = self.state / "git" / "credentials"
        # Git rewrites the file in this form after each use, so another form would change each time.
        host = f"127.0.0.1%3a{self.processes.port('github')}"
        line = f"https://{_USER}:{self.token}@{host}\n"
        files.write(file, line.encode(), 0o600)
        return file

    def _git_config(self) -> Path:
        """Return a Git configuration with a name and the credential that may write."""
        file = self.state / "git" / "config"
        text = (
            "[user]\n\tname = Platform team\n\temail = platform-team@fleet.example\n"
            f'[credential]\n\thelper = "store --file={self._credentials_file()}"\n'
        )
        files.write(file, text.encode())
        return file

    def _call(self, method: str, path: str, body: object = None) -> None:
        request = urllib.request.Request(  # noqa: S310 - always https
            f"{self.url}api/v3/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        trust = ssl.create_default_context(cafile=str(self.certificates.ca_bundle))
        with urllib.request.urlopen(request, timeout=30, context=trust):  # noqa: S310 - always https
            pass

    @property
    def _ssh_host_key(self) -> Pair:
        return self.certificates.ssh_host_key(STAND_INS, "github")

    @property
    def _fine_grained(self) -> TokenFiles:
        return TokenFiles(self.state / "tokens" / "fine-grained")

    @property
    def _token_file(self) -> Path:
        return secret_file(self.state / "tokens" / "classic")


@dataclass(frozen=True, kw_only=True)
class Internet:
    """The rest of the internet that Flux uses: a chart repository and public Git repositories."""

    processes: Processes
    certificates: Certificates

    def start(self, charts: Path, public_repositories: Path) -> None:
        """Keep it running and wait for its ports. Raises SandboxError if it does not start."""
        hosts = [_CHART_HOST, _GIT_HOST]
        pair = self.certificates.server_certificate(STAND_INS, "internet", hosts)
        argv: list[str | Path] = [
            sys.executable, "-m", "sandbox.internet",
            "--port", str(self.processes.port("internet")),
            "--proxy-port", str(self.processes.port("internet/proxy")),
            "--certificate", pair.certificate,
            "--key", pair.key,
            "--site", f"{_CHART_HOST}={charts}",
            "--public-git", f"{_GIT_HOST}={public_repositories}",
        ]  # fmt: skip
        self.processes.ensure("internet", Command(argv, _ENVIRONMENT))
        _wait_for_ports(self.processes, "internet", ("internet", "internet/proxy"))

    @property
    def proxy_url(self) -> str:
        """The proxy that leads to this server and nowhere else."""
        return f"http://127.0.0.1:{self.processes.port('internet/proxy')}"


def _wait_for_ports(processes: Processes, process: str, ports: Sequence[str]) -> None:
    processes.wait_until(
        [process],
        lambda: all(_is_open(processes.port(port)) for port in ports),
        what=f"the {process} stand-in",
        seconds=30,
    )


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
