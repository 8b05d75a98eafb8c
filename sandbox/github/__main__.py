"""Run the stand-in as a process of its own: `python -m sandbox.github --help`."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from sandbox.github import ssh
from sandbox.github.repositories import Repositories
from sandbox.github.repository_keys import DeployKeys
from sandbox.github.server import Accounts, GitHubServer
from sandbox.internet.web import serve_until_terminated
from sandbox.sandbox_error import SandboxError


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.github", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="of the bare repositories")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM, the chain")
    parser.add_argument("--key", type=Path, required=True, help="PEM")
    parser.add_argument("--ssh-port", type=int, required=True, help="on 127.0.0.1, as --port")
    parser.add_argument("--ssh-host-key", type=Path, required=True, help="PEM, Ed25519")
    parser.add_argument("--token-file", type=Path, required=True, help="the token that may write")
    parser.add_argument("--read-token-file", type=Path, required=True)
    parser.add_argument("--repository-tokens", type=Path, help="folder: OWNER/NAME is a file with "
                        "a token that may only clone that repository")  # fmt: skip
    parser.add_argument("--user", default="sandbox", help="whose tokens these are; all other "
                        "owners are organizations")  # fmt: skip
    options = parser.parse_args()
    with ExitStack() as open_until_the_end:
        try:
            accounts = Accounts(
                user=options.user,
                token=_token(options.token_file),
                read_token=_token(options.read_token_file),
                repository_tokens=options.repository_tokens,
            )
            repositories = Repositories(options.directory)
            deploy_keys = DeployKeys(repositories)
            ssh_url = open_until_the_end.enter_context(
                ssh.serving(options.ssh_port, host_key=options.ssh_host_key, keys=deploy_keys)
            )
            server = GitHubServer(
                options.port,
                certificate=options.certificate,
                key=options.key,
                repositories=repositories,
                deploy_keys=deploy_keys,
                accounts=accounts,
                ssh_url=ssh_url,
            )
        except (OSError, SandboxError) as error:
            raise SystemExit(f"sandbox.github: {error}") from None
        print(f"listening on {ssh_url}", flush=True)
        print(f"listening on https://127.0.0.1:{server.server_port}", flush=True)
        serve_until_terminated(server)


def _token(file: Path) -> str:
    token = file.read_text().strip()
    if not token:
        raise SandboxError(f"{file}: holds no token")
    return token


if __name__ == "__main__":
    main()
