"""A thin Python language host, with which the `pulumi` command line runs `__main__.py`.

The official host is on no package registry. This one serves the language server of Pulumi's SDK, which
the Automation API uses for inline programs, and runs the program's file in the same process. The engine
starts it as `pulumi-language-python`, with its own address as the last argument, and reads the port from
the first line of standard output.
"""

from __future__ import annotations

import os
import runpy
import shlex
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

PROGRAM = "pulumi-language-python"
_WORKERS = 4
_PARENT_CHECK_SECONDS = 1.0


class LanguageHost(LanguageServer):
    """The SDK's language server, for a program in a file."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine

    def Handshake(  # noqa: N802 - the name in the protocol
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Accept the engine."""
        return language_pb2.LanguageHandshakeResponse()

    def Run(  # noqa: N802 - the name in the protocol
        self, request: language_pb2.RunRequest, context: grpc.ServicerContext
    ) -> language_pb2.RunResponse:
        """Run `__main__.py` of the project's folder, once for a preview and once for an update."""
        folder = Path(request.info.program_directory)
        os.chdir(request.pwd)
        if sys.path[0] != str(folder):
            sys.path.insert(0, str(folder))
        self.program = lambda: _discard(
            runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
        )
        request.args[:] = [self._engine]
        response: language_pb2.RunResponse = super().Run(request, context)
        # The SDK has logged the error already. `bail` keeps the engine from printing it a second time.
        return language_pb2.RunResponse(bail=True) if response.error else response


def install(bin_folder: Path, checkout: Path) -> None:
    """Write the executable that the engine looks for on PATH into `bin_folder`."""
    bin_folder.mkdir(parents=True, exist_ok=True)
    program = bin_folder / PROGRAM
    fresh = program.with_suffix(".new")
    fresh.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(checkout))}"
        f' exec {shlex.quote(sys.executable)} -m {__name__} "$@"\n'
    )
    fresh.chmod(0o755)
    fresh.replace(program)


def main() -> None:
    """Serve until the engine ends."""
    # Ctrl-C reaches the whole process group. The engine decides what it means and ends this host.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(max_workers=_WORKERS))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(sys.argv[-1]), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    # The engine stops its hosts, unless it is killed: then nobody would end this one.
    while os.getppid() == engine:
        time.sleep(_PARENT_CHECK_SECONDS)
    server.stop(grace=None)


def _discard(namespace: object) -> None:
    """Return nothing: what an inline program returns would become the stack's outputs."""


if __name__ == "__main__":
    main()
