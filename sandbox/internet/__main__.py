"""Run the stand-in in a process of its own: `python -m sandbox.internet --help`."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from sandbox.internet.hosts import InternetServer
from sandbox.internet.proxy import Proxy
from sandbox.internet.web import ServerCertificate, serve_until_terminated


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _options()
    try:
        server = InternetServer(
            options.port,
            ServerCertificate(options.certificate, options.key),
            sites=dict(options.site),
            public_git=dict(options.public_git),
        )
        proxy = Proxy(options.proxy_port, hosts=server.hosts(), target=server.server_port)
    except OSError as error:
        raise SystemExit(f"sandbox.internet: {error}") from None
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(
        f"listening on https://127.0.0.1:{server.server_port}"
        f" and, as a proxy, on http://127.0.0.1:{proxy.server_address[1]}",
        flush=True,
    )
    serve_until_terminated(server)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.internet", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="HTTPS port; 0 takes a free one")
    parser.add_argument("--proxy-port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM, names all hosts")
    parser.add_argument("--key", type=Path, required=True, help="PEM")
    for name, content in (("site", "files"), ("public-git", "bare repositories")):
        parser.add_argument(
            f"--{name}", action="append", default=[], type=_host_and_folder,
            metavar="HOST=DIR", help=f"serve the {content} in DIR as HOST (repeatable)",
        )  # fmt: skip
    return parser.parse_args()


def _host_and_folder(text: str) -> tuple[str, Path]:
    host, _, folder = text.partition("=")
    if not host or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} names no host or no folder; write HOST=DIR")
    return host, Path(folder)


if __name__ == "__main__":
    main()
