"""Run the stand-in in a process of its own: `python -m sandbox.github --help`."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from sandbox.github import ssh
from sandbox.github.accounts import Accounts
from sandbox.github.server import GitHubServer
from sandbox.github.store import Store
from sandbox.github.tokens import TokenFiles
from sandbox.internet.web import ServerCertificate, serve_until_terminated
from sandbox.sandbox_error import SandboxError


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _options()
    with ExitStack() as stack:
        try:
            accounts = Accounts(
                user=options.user,
                token=_token(options.token_file),
                fine_grained=TokenFiles(options.fine_grained_tokens),
            )
            store = Store(options.directory, accounts)
            ssh_url = stack.enter_context(
                ssh.serving(options.ssh_port, host_key=options.ssh_host_key, keys=store.deploy_keys)
            )
            certificate = ServerCertificate(options.certificate, options.key)
            server = GitHubServer(options.port, certificate, store, ssh_url)
        except (OSError, SandboxError) as error:
            raise SystemExit(f"sandbox.github: {error}") from None
        print(f"listening on {ssh_url}", flush=True)
        print(f"listening on https://127.0.0.1:{server.server_port}", flush=True)
        serve_until_terminated(server)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.github", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, required=True, help="folder of the bare repositories"
    )
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM, with the whole chain")
    parser.add_argument("--key", type=Path, required=True, help="PEM")
    parser.add_argument(
        "--ssh-port", type=int, required=True, help="on 127.0.0.1; 0 takes a free one"
    )
    parser.add_argument("--ssh-host-key", type=Path, required=True, help="PEM, Ed25519")
    parser.add_argument(
        "--token-file", type=Path, required=True, help="classic token, which may do everything"
    )
    parser.add_argument(
        "--fine-grained-tokens",
        type=Path,
        required=True,
        help="folder in which each .json file is a token with its repositories and permissions",
    )
    parser.add_argument(
        "--user",
        default="sandbox",
        help="user of all tokens; every other owner is an organization",
    )
    return parser.parse_args()


def _token(file: Path) -> str:
    token = file.read_text().strip()
    if not token:
        raise SandboxError(f"{file}: holds no token; write one into it")
    return token


if __name__ == "__main__":
    main()
