"""A thin Python language host, with which the `pulumi` command line runs `__main__.py`.

The official host is on no package registry. This one serves the language server of Pulumi's SDK,
which the Automation API uses for inline programs, and runs the program's file in the same process.
The engine starts it as `pulumi-language-python`, with its own address as the last argument, and
reads the port from the first line of standard output.
"""

from __future__ import annotations

import functools
import gc
import os
import runpy
import shlex
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from fleet import files
from sandbox.host.checkout import CHECKOUT

PROGRAM = "pulumi-language-python"
_WORKERS = 4
_PARENT_CHECK_SECONDS = 1.0
_PROGRAM_SECONDS = 60 * 60.0


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
        self.program = functools.partial(_run_program, folder / "__main__.py")
        request.args[:] = [self._engine]
        return reported(super().Run(request, context))  # type: ignore[no-untyped-call]


def reported(response: language_pb2.RunResponse) -> language_pb2.RunResponse:
    """Return the response for an engine that has the error already, as the SDK has logged it."""
    return language_pb2.RunResponse(bail=True) if response.error else response


def install(program: Path) -> None:
    """Write the executable that the engine looks for on its PATH."""
    text = (
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(CHECKOUT))}"
        f' exec {shlex.quote(sys.executable)} -m {__name__} "$@"\n'
    )
    files.write(program, text.encode(), 0o755)


def main() -> None:
    """Serve until the engine ends or interrupts this host."""
    # It ends after one run, and has many objects that stay, those of Pulumi's SDK.
    gc.disable()
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    engine = os.getppid()
    server = grpc.server(ThreadPoolExecutor(max_workers=_WORKERS))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(sys.argv[-1]), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    # A killed engine cannot stop its hosts, so each one looks for it.
    while os.getppid() == engine and not interrupted.wait(_PARENT_CHECK_SECONDS):
        pass
    # Ctrl-C reaches the whole process group, but the engine decides what it means. So a program
    # that runs goes on; otherwise this host ends at once, and the engine does not wait for it.
    stopped = server.stop(grace=_PROGRAM_SECONDS)
    while os.getppid() == engine and not stopped.wait(_PARENT_CHECK_SECONDS):
        pass
    server.stop(grace=None)


def _run_program(file: Path) -> None:
    # An inline program may return its outputs, so this one returns nothing.
    runpy.run_path(str(file), run_name="__main__")


if __name__ == "__main__":
    main()
